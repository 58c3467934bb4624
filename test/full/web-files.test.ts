import type { Browser, Page, Response } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { paint } from '../support/avatar.ts';
import { browserTimeout, isChromiumInstalled, openBrowser } from '../support/browser.ts';
import { createGroup, say } from '../support/chat.ts';
import { signUp } from '../support/client.ts';
import { nothingInline } from '../support/file.ts';
import { locationOf, startS3, type S3 } from '../support/s3.ts';
import { startServer, type TestServer } from '../support/server.ts';
import { openAs, openChat, rowOf } from '../support/web.ts';

/** The client sends a file in pieces of this size. */
const pieceBytes = 1_048_576;

describe.skipIf(!isChromiumInstalled)('files in the chat (skipped without /usr/bin/chromium)', () => {
  let s3: S3;
  let server: TestServer;
  let browser: Browser;
  beforeAll(async () => {
    s3 = await startS3();
    const env = { FILE_STORE: locationOf(s3), FILE_SERVING: 'redirect', ...nothingInline };
    [server, browser] = await Promise.all([startServer({ env }), openBrowser()]);
  }, 60_000);
  afterAll(async () => {
    await browser?.close();
    await server?.[Symbol.asyncDispose]();
    await s3?.remove();
  });

  test('an upload shows its progress, can be cancelled, and waits while it is paused', browserTimeout, async () => {
    const [ed, ann] = [await signUp(server, 'ed'), await signUp(server, 'ann')];
    await createGroup(ed, [ann], 'Uploads');
    const { page, complaints, close } = await openAs(browser, server, ed);
    await openChat(page, 'Uploads');
    const line = await holdSecondPiece(page);

    await attach(page, 'film.bin', Buffer.alloc(3 * pieceBytes, 1));
    const progress = page.getByRole('progressbar', { name: 'Uploading film.bin' });
    await line.held;
    await expect.poll(() => progress.getAttribute('value')).toBe(String(pieceBytes));
    expect(await page.getByRole('button', { name: 'Send', exact: true }).isDisabled()).toBe(true);
    await page.getByRole('button', { name: 'Pause film.bin' }).click();
    await page.getByRole('button', { name: 'Resume film.bin' }).waitFor();
    const deleted = page.waitForRequest((request) => request.method() === 'DELETE');
    await page.getByRole('button', { name: 'Remove film.bin' }).click();
    await progress.waitFor({ state: 'detached' });
    line.release();
    await deleted;

    await attach(page, 'notes.txt', Buffer.from('kept'));
    const sent = page.getByRole('button', { name: 'Send', exact: true });
    await expect.poll(() => sent.isEnabled()).toBe(true);
    await sent.click();
    await rowOf(page, 'notes.txt')
      .getByRole('link', { name: /notes.txt/ })
      .waitFor();
    expect(await page.locator('.upload').count()).toBe(0);
    expect(complaints).toEqual([]);
    await close();
  });

  test('files go on uploading and wait in their chat while another one is open', browserTimeout, async () => {
    const [tim, amy] = [await signUp(server, 'tim'), await signUp(server, 'amy')];
    await say(amy, await createGroup(tim, [amy], 'Plans'), 'Shall we?');
    await createGroup(tim, [amy], 'Elsewhere');
    const { page, complaints, close } = await openAs(browser, server, tim);
    await openChat(page, 'Plans');
    await rowOf(page, 'Shall we?').focus();
    await page.keyboard.press('r');
    const line = await holdSecondPiece(page);
    await attach(page, 'plan.bin', Buffer.alloc(2 * pieceBytes, 1));
    await line.held;
    await openChat(page, 'Elsewhere');
    expect(await page.locator('.upload').count()).toBe(0);
    expect(await page.getByRole('link', { name: /Plans/ }).textContent()).toContain('Draft: plan.bin');
    const sent = page.waitForResponse((response) => response.url().includes('/api/upload/tus/') && isLastGet(response));
    line.release();
    await sent;
    await openChat(page, 'Plans');
    await page.locator('.reply-bar').getByText('Shall we?').waitFor();
    const send = page.getByRole('button', { name: 'Send', exact: true });
    await expect.poll(() => send.isEnabled()).toBe(true);
    await send.click();
    const row = rowOf(page, 'plan.bin');
    await row.getByRole('link', { name: /plan.bin/ }).waitFor();
    expect(await row.locator('.quoted').textContent()).toContain('Shall we?');
    expect(complaints).toEqual([]);
    await close();
  });

  test('a picture comes from the bucket that the server redirects to', browserTimeout, async () => {
    const [lin, bo] = [await signUp(server, 'lin'), await signUp(server, 'bo')];
    await createGroup(lin, [bo], 'Bucket');
    const { page, complaints, close } = await openAs(browser, server, lin);
    await openChat(page, 'Bucket');
    const fromBucket = page.waitForResponse((response) => response.url().startsWith(s3.url) && response.ok());
    await attach(page, 'noise.png', Buffer.from(await paint(300)));
    const send = page.getByRole('button', { name: 'Send', exact: true });
    await expect.poll(() => send.isEnabled()).toBe(true);
    await send.click();
    await fromBucket;
    const picture = page.getByRole('button', { name: 'Open noise.png' });
    await picture.locator('img.loaded').waitFor();
    await picture.click();
    await page.getByRole('dialog', { name: 'noise.png' }).waitFor();
    await expect.poll(() => page.evaluate('document.querySelector(".viewer img")?.naturalWidth')).toBe(300);
    expect(complaints).toEqual([]);
    await close();
  });
});

/** Returns whether this is the response to the GET for an upload's result, which follows the last piece. */
function isLastGet(response: Response): boolean {
  return response.request().method() === 'GET';
}

function attach(page: Page, name: string, buffer: Buffer): Promise<void> {
  return page.locator('.composer input[type=file]').setInputFiles({ name, mimeType: '', buffer });
}

/** Holds back the second piece of the next upload. `held` resolves when that piece is on its way. */
async function holdSecondPiece(page: Page): Promise<{ held: Promise<void>; release: () => void }> {
  const held = Promise.withResolvers<void>();
  const released = Promise.withResolvers<void>();
  let count = 0;
  await page.route('**/api/upload/tus/**', async (route) => {
    if (route.request().method() === 'PATCH' && (count += 1) === 2) {
      held.resolve();
      await released.promise;
    }
    await route.continue();
  });
  return { held: held.promise, release: released.resolve };
}
