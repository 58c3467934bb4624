import type { Browser, Page } from 'playwright-core';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { browserTimeout, isChromiumInstalled, openBrowser } from '../support/browser.ts';
import { createGroup, say } from '../support/chat.ts';
import { signUp } from '../support/client.ts';
import { startServer, type TestServer } from '../support/server.ts';
import { expectAccessible, openAs, openChat, openWindow, phone, rowOf, write } from '../support/web.ts';

describe.skipIf(!isChromiumInstalled)('the chat in Chromium (skipped where /usr/bin/chromium is not installed)', () => {
  let server: TestServer;
  let browser: Browser;
  beforeAll(async () => {
    [server, browser] = await Promise.all([startServer(), openBrowser()]);
  }, 60_000);
  afterAll(() => browser?.close());

  test('a newcomer signs up, finds another user, and the two write to each other', browserTimeout, async () => {
    const grace = await signUp(server, 'grace');
    const { page, complaints, close } = await openWindow(browser, server);
    await page.goto(`${server.url}/#/chat/%mistyped`);
    await page.reload();
    await expectAccessible(page);
    await page.getByRole('button', { name: 'Create an account' }).click();
    await page.getByLabel('Username').fill('ada');
    await page.getByLabel('Email').fill('ada@example.com');
    await page.getByLabel('Password').fill('short');
    await page.getByRole('button', { name: 'Create account' }).click();
    await page.getByText(/Password must/).waitFor();
    await page.getByLabel('Password').fill('wrote the first program');
    await page.getByRole('button', { name: 'Create account' }).click();
    await page.getByRole('button', { name: 'Find people and channels' }).first().click();
    await page.getByLabel('Find people, channels and chats').fill('gra');
    await page.getByRole('button', { name: /@grace/ }).click();
    await page.getByRole('heading', { name: 'grace', level: 1 }).waitFor();
    await write(page, 'Hello Grace');
    await rowOf(page, 'Hello Grace').waitFor();
    await expectAccessible(page);

    const graces = await openAs(browser, server, grace, phone);
    await openChat(graces.page, 'ada');
    await rowOf(graces.page, 'Hello Grace').waitFor();
    await write(graces.page, 'Hello Ada');
    await rowOf(page, 'Hello Ada').waitFor();
    await expectAccessible(graces.page);
    expect([...complaints, ...graces.complaints]).toEqual([]);
    await Promise.all([close(), graces.close()]);
  });

  test('a chat shows the number of unread messages until they are read', browserTimeout, async () => {
    const [linus, mary] = [await signUp(server, 'linus'), await signUp(server, 'mary')];
    const chatId = await createGroup(linus, [mary], 'Kernels');
    await say(linus, chatId, 'One');
    await say(linus, chatId, '@mary two');
    const { page, close } = await openAs(browser, server, mary);
    const row = page.getByRole('link', { name: /Kernels/ });
    await expect.poll(() => row.textContent()).toContain('2 unread');
    expect(await row.textContent()).toContain('1 mentions');
    await row.click();
    await rowOf(page, 'two').waitFor();
    await expect.poll(() => row.textContent()).not.toContain('unread');
    await close();
  });

  test(
    'messages are answered, edited, pinned, found and deleted, with mentions and reactions',
    browserTimeout,
    async () => {
      const [alan, joan] = [await signUp(server, 'alan'), await signUp(server, 'joan')];
      const chatId = await createGroup(alan, [joan], 'Machines');
      await say(joan, chatId, '🤖 Does it halt?');
      const [alans, joans] = await Promise.all([openAs(browser, server, alan), openAs(browser, server, joan)]);
      const { page } = alans;
      await Promise.all([openChat(page, 'Machines'), openChat(joans.page, 'Machines')]);

      // When a message has the focus, pressing a letter has the same effect as the button.
      await rowOf(page, 'Does it halt?').focus();
      await page.keyboard.press('r');
      await page.locator('.composer textarea').pressSequentially('Ask @jo');
      await page.getByRole('option', { name: /joan/ }).waitFor();
      await expectAccessible(page);
      await page.keyboard.press('Enter');
      await page.keyboard.type('later');
      await page.keyboard.press('Enter');
      const answer = rowOf(joans.page, 'Ask @joan later');
      await answer.waitFor();
      expect(await answer.locator('.quoted').textContent()).toContain('Does it halt?');
      expect(await answer.getAttribute('class')).toContain('for-viewer');

      await act(joans.page, 'Ask @joan later', 'React');
      await joans.page.getByRole('button', { name: '🎉' }).click();
      await rowOf(page, 'Ask @joan later').getByRole('button', { name: '🎉, 1 reaction' }).click();
      await answer.getByRole('button', { name: '🎉, 2 reactions' }).waitFor();

      // In an empty field, the up arrow key edits the last message.
      await page.locator('.composer textarea').press('ArrowUp');
      await page.getByLabel('Edit message').fill('Ask @joan now');
      await page.keyboard.press('Enter');
      await rowOf(joans.page, 'Ask @joan now (edited)').waitFor();

      await joans.page.getByRole('button', { name: 'Pinned messages' }).click();
      await joans.page.getByText('Nothing is pinned here').waitFor();
      await act(page, 'Does it halt?', 'More actions');
      await expectAccessible(page);
      await page.getByRole('menuitem', { name: 'Pin' }).click();
      await joans.page.locator('.panel').getByText('Does it halt?').waitFor();

      await page.getByRole('button', { name: 'Search messages' }).click();
      await page.locator('.panel').getByLabel('Search messages').fill('halt');
      await page.locator('mark', { hasText: 'halt' }).waitFor();
      await expectAccessible(page);
      await page.locator('.hit').click();
      await page.locator('.message.target', { hasText: 'Does it halt?' }).waitFor();

      await act(page, 'Ask @joan now', 'More actions');
      await page.getByRole('menuitem', { name: 'Delete' }).click();
      await page.getByRole('button', { name: 'Delete', exact: true }).click();
      await joans.page.getByText('This message was deleted.').waitFor();
      expect([...alans.complaints, ...joans.complaints]).toEqual([]);
      await Promise.all([alans.close(), joans.close()]);
    },
  );

  test('a picture is dropped on the chat, and opens in the viewer of another user', browserTimeout, async () => {
    const [ed, lin] = [await signUp(server, 'ed'), await signUp(server, 'lin')];
    await createGroup(ed, [lin], 'Pictures');
    const { page, complaints, close } = await openAs(browser, server, ed);
    await openChat(page, 'Pictures');
    const png = await sharp({ create: { width: 900, height: 600, channels: 3, background: '#2a8' } })
      .png()
      .toBuffer();
    await drop(page, { name: 'sea.png', type: 'image/png', base64: png.toString('base64') });
    await page.locator('.upload').getByText('sea.png').waitFor();
    await page.getByRole('button', { name: 'Send' }).click();
    const lins = await openAs(browser, server, lin, phone);
    await openChat(lins.page, 'Pictures');
    await lins.page.getByRole('button', { name: 'Open sea.png' }).click();
    await lins.page.getByRole('dialog', { name: 'sea.png' }).getByRole('img').waitFor();
    await expect.poll(() => lins.page.evaluate('document.querySelector(".viewer img").naturalWidth')).toBe(900);
    await expectAccessible(lins.page);
    await lins.page.keyboard.press('Escape');
    await lins.page.getByRole('dialog').waitFor({ state: 'detached' });
    expect([...complaints, ...lins.complaints]).toEqual([]);
    await Promise.all([close(), lins.close()]);
  });
});

/** Presses one of a message's buttons. */
async function act(page: Page, text: string, button: string): Promise<void> {
  await rowOf(page, text).first().hover();
  await page.locator('.message-bar').getByRole('button', { name: button }).click();
}

/** Drops a file on the chat, as if from a file manager. */
async function drop(page: Page, file: { name: string; type: string; base64: string }): Promise<void> {
  await page.evaluate(`{
    const { name, type, base64 } = ${JSON.stringify(file)};
    const data = new DataTransfer();
    data.items.add(new File([Uint8Array.from(atob(base64), (one) => one.charCodeAt(0))], name, { type }));
    const target = document.querySelector('.history');
    for (const kind of ['dragover', 'drop']) {
      target.dispatchEvent(new DragEvent(kind, { dataTransfer: data, bubbles: true, cancelable: true }));
    }
  }`);
}
