import type { BrowserContext } from 'playwright-core';
import { describe, expect, test } from 'vitest';
import { bundleWebPage } from '../../scripts/web.ts';
import { browserTimeout, isChromiumInstalled, openBrowser } from '../support/browser.ts';
import { createGroup, say } from '../support/chat.ts';
import { signUp } from '../support/client.ts';
import { startServer } from '../support/server.ts';
import { openChat, rowOf, signInTo, watchComplaints, write } from '../support/web.ts';

describe.skipIf(!isChromiumInstalled)('the chat in development (skipped without /usr/bin/chromium)', () => {
  test('the page works although React runs each effect twice, and React has no complaint', browserTimeout, async () => {
    const [server, files] = await Promise.all([startServer(), bundleWebPage('development')]);
    expect([...files.values()].join()).toContain('unique "key" prop');
    await using browser = await openBrowser();
    const [ada, grace] = [await signUp(server, 'ada'), await signUp(server, 'grace')];
    await say(grace, await createGroup(grace, [ada], 'Engines'), 'It works');
    await createGroup(grace, [ada], 'Looms');
    const context = await browser.newContext({ viewport: { width: 1280, height: 800 } });
    await serve(context, server.url, files);
    const page = await context.newPage();
    const complaints = watchComplaints(page);
    await page.goto(server.url);
    await signInTo(page, ada);
    await openChat(page, 'Engines');
    await rowOf(page, 'It works').focus();
    await page.keyboard.press('r');
    await write(page, 'Twice?');
    await page.locator('[data-seq]', { hasText: 'Twice?' }).waitFor();
    expect(await rowOf(page, 'Twice?').count()).toBe(1);
    await page
      .locator('.composer input[type=file]')
      .setInputFiles({ name: 'notes.txt', mimeType: 'text/plain', buffer: Buffer.from('kept') });
    await openChat(page, 'Looms');
    await openChat(page, 'Engines');
    const send = page.getByRole('button', { name: 'Send', exact: true });
    await expect.poll(() => send.isEnabled()).toBe(true);
    await send.click();
    await rowOf(page, 'notes.txt')
      .getByRole('link', { name: /notes.txt/ })
      .waitFor();

    for (const name of ['Search messages', 'Details and members', 'Pinned messages']) {
      const button = page.getByRole('button', { name });
      await button.press('Enter');
      await page.locator('.panel').waitFor();
      await page.keyboard.press('Escape');
      await button.and(page.locator(':focus')).waitFor();
    }
    const settings = page.getByRole('button', { name: /Settings/ });
    await settings.press('Enter');
    await page.getByRole('tab', { name: 'Profile' }).and(page.locator(':focus')).waitFor();
    await page.keyboard.press('Escape');
    await settings.and(page.locator(':focus')).waitFor();
    const sent = await server.sql.query('select from messages');
    expect(sent.rowCount).toBe(3);
    expect(complaints).toEqual([]);
  });
});

/** Serves the development version of the page at the address of the server. */
async function serve(context: BrowserContext, url: string, files: ReadonlyMap<string, string>): Promise<void> {
  const types: Record<string, string> = { js: 'text/javascript', html: 'text/html' };
  await context.route(
    ({ origin, pathname }) => origin === url && files.has(pathname.slice(1) || 'index.html'),
    (route) => {
      const name = new URL(route.request().url()).pathname.slice(1) || 'index.html';
      const type = types[name.split('.').at(-1) ?? ''] ?? 'text/plain';
      return route.fulfill({ body: files.get(name) ?? '', contentType: `${type}; charset=utf-8` });
    },
  );
}
