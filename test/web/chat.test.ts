import type { Browser } from 'playwright-core';
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

  test('a chat shows what is unread, and no longer once it is read', browserTimeout, async () => {
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
});
