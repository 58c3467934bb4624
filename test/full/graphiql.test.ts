import type { Page } from 'playwright-core';
import { describe, expect, test } from 'vitest';
import { browserTimeout, isChromiumInstalled, openBrowser } from '../support/browser.ts';
import { startServer, type TestServer } from '../support/server.ts';

describe.skipIf(!isChromiumInstalled)('GraphiQL in Chromium (skipped where /usr/bin/chromium is not installed)', () => {
  test(
    'two users in two windows can run the conversation in its tabs without typing anything, and one can continue in another browser',
    { timeout: 2 * browserTimeout.timeout },
    async () => {
      await using server = await startServer();
      await using browser = await openBrowser();
      const context = await browser.newContext({ viewport: { width: 1280, height: 800 } });
      const graces = await context.newPage();
      const { complaints, elsewhere } = watch(graces, server);
      const grace = await openGraphiql(graces, server);
      await runTab(grace, 'Enter', '"adaSignsIn"');
      await runTab(grace, 'CreateChat', '"Compilers"');
      // A single window is enough to see a message arrive.
      await runTab(grace, 'Listen', '"CaughtUp"');
      await expect.poll(resultIn(grace), patience).toContain('"Hello, Grace! I arrive live."');

      const ada = await openGraphiql(await context.newPage(), server);
      await runTab(ada, 'Send', '"seq": 2');
      await expect.poll(resultIn(grace), patience).toContain('"Hello, Grace!"');
      await runTab(ada, 'Send', '"seq": 3');
      await expect.poll(resultIn(grace), patience).toContain('"seq": 3');
      await runTab(ada, 'Read', '"Hello, Grace!"');

      // The page is complete, and loads nothing from other hosts.
      await grace.getByLabel('Show Documentation Explorer').click();
      await grace.getByRole('link', { name: 'Subscription', exact: true }).click();
      await grace.getByRole('link', { name: 'chatEvents' }).waitFor();
      expect(elsewhere).toEqual([]);
      expect(complaints).toEqual([]);
      await context.close();

      // The other browser has no tokens. The usernames are already taken, as they are after the conversation with curl
      // in the README.
      const other = await openGraphiql(await browser.newPage(), server);
      await runTab(other, 'CreateChat', '"UNAUTHENTICATED"');
      await runTab(other, 'Enter', '"adaSignsIn"');
      expect(await resultIn(other)()).toContain('"Conflict"');
      await runTab(other, 'CreateChat', '"Chat"');
      await runTab(other, 'Listen', '"CaughtUp"');
      await expect.poll(resultIn(other), patience).toContain('"Hello, Grace! I arrive live."');
      await runTab(other, 'Read', '"Compilers"');
    },
  );
});

/** Collects what the page's console reports, and which requests the page sends to other hosts. */
function watch(page: Page, server: TestServer): { complaints: string[]; elsewhere: string[] } {
  const complaints: string[] = [];
  const elsewhere: string[] = [];
  page.on('console', (message) => complaints.push(message.text()));
  page.on('pageerror', (error) => complaints.push(String(error)));
  page.on('request', (request) => {
    const { protocol, origin } = new URL(request.url());
    if (protocol.startsWith('http') && origin !== server.url) elsewhere.push(request.url());
  });
  return { complaints, elsewhere };
}

const patience = { timeout: 30_000 };

async function openGraphiql(page: Page, server: TestServer): Promise<Page> {
  await page.goto(`${server.url}/graphql`);
  await page.locator('.graphiql-execute-button').waitFor();
  return page;
}

/** Opens a tab, presses play and waits for the expected result. */
async function runTab(page: Page, name: string, result: string): Promise<void> {
  await page.locator('.graphiql-tab').getByText(name, { exact: true }).click();
  await page.waitForFunction(`(${hasTaken.toString()})(localStorage['graphiql:tabState'], '${name}')`);
  await page.locator('.graphiql-execute-button').click();
  await expect.poll(resultIn(page), patience).toContain(result);
}

/**
 * Returns whether GraphiQL has read the operation of the tab. It does so shortly after showing the tab, and then stores
 * which tab is active.
 */
function hasTaken(stored: string | undefined, name: string): boolean {
  const { tabs, activeTabIndex } = JSON.parse(stored ?? '{}');
  return tabs?.[activeTabIndex]?.operationName === name;
}

/** Returns a function that reads the content of the result pane. */
function resultIn(page: Page): () => Promise<string> {
  const lines = page.locator('.result-window .view-line');
  return async () => (await lines.allInnerTexts()).join('\n').replaceAll('\u00a0', ' ');
}
