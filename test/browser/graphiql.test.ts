import type { Page } from 'playwright-core';
import { describe, expect, test } from 'vitest';
import { browserTimeout, isChromiumInstalled, openBrowser } from '../support/browser.ts';
import { startServer, type TestServer } from '../support/server.ts';

describe.skipIf(!isChromiumInstalled)('GraphiQL in Chromium (skipped where /usr/bin/chromium is not installed)', () => {
  test(
    'two users in two windows can run the conversation in its tabs without typing anything',
    browserTimeout,
    async () => {
      await using server = await startServer();
      await using browser = await openBrowser();
      const context = await browser.newContext({ viewport: { width: 1280, height: 800 } });
      const grace = await openGraphiql(await context.newPage(), server);
      await runTab(grace, 'SignUp_ada', '"SignedIn"');
      await runTab(grace, 'SignUp_grace', '"SignedIn"');
      await runTab(grace, 'CreateChat', '"Compilers"');
      await runTab(grace, 'Listen', '"CaughtUp"');

      const ada = await openGraphiql(await context.newPage(), server);
      await runTab(ada, 'Send', '"seq": 1');
      await expect.poll(resultIn(grace), patience).toContain('"Hello, Grace!"');
      await runTab(ada, 'Send', '"seq": 2');
      await expect.poll(resultIn(grace), patience).toContain('"seq": 2');
      await runTab(ada, 'Read', '"Hello, Grace!"');
    },
  );

  test('a user who returns with another browser can sign in and continue', browserTimeout, async () => {
    await using server = await startServer();
    await using browser = await openBrowser();
    const first = await openGraphiql(await browser.newPage(), server);
    await runTab(first, 'SignUp_ada', '"SignedIn"');
    await runTab(first, 'SignUp_grace', '"SignedIn"');

    const second = await openGraphiql(await browser.newPage(), server);
    await runTab(second, 'SignUp_ada', '"Conflict"');
    await runTab(second, 'CreateChat', '"UNAUTHENTICATED"');
    await runTab(second, 'SignIn', '"SignedIn"');
    await runTab(second, 'CreateChat', '"Compilers"');
    expect(await resultIn(second)()).toContain('"Chat"');
  });

  test('the page is complete, and loads nothing from other hosts', browserTimeout, async () => {
    await using server = await startServer();
    await using browser = await openBrowser();
    const page = await browser.newPage();
    const complaints: string[] = [];
    const elsewhere: string[] = [];
    page.on('console', (message) => complaints.push(message.text()));
    page.on('pageerror', (error) => complaints.push(String(error)));
    page.on('request', (request) => {
      const { protocol, origin } = new URL(request.url());
      if (protocol.startsWith('http') && origin !== server.url) elsewhere.push(request.url());
    });
    await openGraphiql(page, server);
    await runTab(page, 'SignUp_ada', '"SignedIn"');
    await page.getByLabel('Show Documentation Explorer').click();
    await page.getByRole('link', { name: 'Subscription', exact: true }).click();
    await page.getByRole('link', { name: 'chatEvents' }).waitFor();
    expect(elsewhere).toEqual([]);
    expect(complaints).toEqual([]);
  });
});

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

/** GraphiQL reads a tab's operation a moment after showing it, and then stores which tab is active. */
function hasTaken(stored: string | undefined, name: string): boolean {
  const { tabs, activeTabIndex } = JSON.parse(stored ?? '{}');
  return tabs?.[activeTabIndex]?.operationName === name;
}

/** Reads the content of the result pane. */
function resultIn(page: Page): () => Promise<string> {
  const lines = page.locator('.result-window .view-line');
  return async () => (await lines.allInnerTexts()).join('\n').replaceAll('\u00a0', ' ');
}
