import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { paint } from '../support/avatar.ts';
import { browserTimeout, isChromiumInstalled, openBrowser } from '../support/browser.ts';
import { createGroup, say } from '../support/chat.ts';
import { signUp, type Person } from '../support/client.ts';
import { upload } from '../support/file.ts';
import { ban } from '../support/moderation.ts';
import { startServer, type TestServer } from '../support/server.ts';
import { reportMessage, setRoleWithSql } from '../support/staff.ts';
import { expectAccessible, openAs, openChat, openWindow, phone, rowOf } from '../support/web.ts';

const dark = { colorScheme: 'dark' } as const;

describe.skipIf(!isChromiumInstalled)('what the chat can open (skipped without /usr/bin/chromium)', () => {
  let server: TestServer;
  let browser: Browser;
  let ada: Person;
  beforeAll(async () => {
    [server, browser] = await Promise.all([startServer(), openBrowser()]);
    ada = await signUp(server, 'ada');
    await fill(server, ada);
  }, 60_000);
  afterAll(() => browser?.close());

  test.each([
    ['dark', dark],
    ['on a phone', phone],
    ['on a phone, dark', { ...phone, ...dark }],
  ])('every dialog and panel is accessible: %s', { timeout: 2 * browserTimeout.timeout }, async (_, options) => {
    const visitor = await openWindow(browser, server, options);
    await expectAccessible(visitor.page);
    await visitor.page.getByRole('button', { name: 'Create an account' }).click();
    await expectAccessible(visitor.page);
    await visitor.page.goto(`${server.url}/reset-password#token=none`);
    await visitor.page.getByRole('heading', { name: 'Choose a new password' }).waitFor();
    await expectAccessible(visitor.page);

    const { page, complaints, close } = await openAs(browser, server, ada, options);
    await page.getByRole('link', { name: /Garden/ }).waitFor();
    await expectAccessible(page);
    await page.getByRole('button', { name: 'Moderation' }).click();
    await page.getByRole('button', { name: 'Read the message' }).click();
    await page.getByRole('blockquote').waitFor();
    await page.getByRole('button', { name: 'Suspend the sender' }).click();
    await checkTabs(page, ['Users', 'Log']);
    await page.getByRole('button', { name: /Settings/ }).click();
    await checkTabs(page, ['Appearance', 'Devices', 'Blocked', 'Account']);
    await page.getByRole('button', { name: 'New chat' }).first().click();
    await checkDialog(page);
    await page.getByRole('button', { name: 'Find people and channels' }).first().click();
    await page.getByRole('searchbox').fill('rex');
    await page.getByRole('button', { name: /@rex/ }).waitFor();
    await checkDialog(page);

    await openChat(page, 'Garden');
    await page.locator('.picture img.loaded').waitFor();
    await expectAccessible(page);
    await page.getByRole('button', { name: 'Open rose.png' }).click();
    await checkDialog(page);
    await rowOf(page, 'Lovely').focus();
    await page.keyboard.press('?');
    await checkDialog(page);
    await page.keyboard.press('Delete');
    await checkDialog(page);
    await rowOf(page, 'pills').focus();
    await page.keyboard.press('+');
    await page.getByRole('dialog', { name: 'React' }).waitFor();
    await expectAccessible(page);
    await page.keyboard.press('Escape');
    await page.getByRole('button', { name: 'More actions' }).click();
    await expectAccessible(page);
    await page.getByRole('menuitem', { name: 'Report' }).click();
    await checkDialog(page);

    for (const name of ['Pinned messages', 'Search messages', 'Details and members']) {
      await page.getByRole('button', { name }).click();
      await page.locator('.panel').waitFor();
      await expectAccessible(page);
      if (name !== 'Details and members') await page.keyboard.press('Escape');
    }
    await page.getByText('Lift the ban').waitFor();
    for (const name of ['Edit', 'New invite link', 'Add members', 'Leave', 'Delete']) {
      await page.getByRole('button', { name, exact: true }).click();
      await checkDialog(page);
    }
    for (const name of ['Mute', 'Ban']) {
      await page.getByRole('button', { name: 'Actions for rex' }).click();
      await page.getByRole('menuitem', { name: new RegExp(name) }).click();
      await checkDialog(page);
    }
    expect([...complaints, ...visitor.complaints]).toEqual([]);
    await Promise.all([close(), visitor.close()]);
  });
});

/** Creates a group that gives every panel some content: a picture, a pin, a report and a ban. */
async function fill(server: TestServer, ada: Person): Promise<void> {
  const [rex, tom] = [await signUp(server, 'rex'), await signUp(server, 'tom')];
  await setRoleWithSql(server, ada, 'ADMIN');
  const chatId = await createGroup(ada, [rex, tom], 'Garden');
  const { id: picture } = await upload(server, ada, await paint(200), 'rose.png');
  const lovely = await say(ada, chatId, 'Lovely `roses`, @rex', { fileIds: [picture] });
  await ada.ask('mutation ($id: ID!) { pinMessage(messageId: $id) { __typename } }', { id: lovely });
  await ada.ask('mutation ($id: ID!) { addReaction(messageId: $id, emoji: "👍") { __typename } }', { id: lovely });
  await reportMessage(tom, await say(rex, chatId, 'Buy my pills'), { reason: 'SPAM', comment: 'Again' });
  await ban(ada, chatId, tom.userId, { reason: 'Too quiet' });
}

/** Expects that the open dialog is accessible, and closes it. */
async function checkDialog(page: Page): Promise<void> {
  await page.locator('dialog').waitFor();
  await expectAccessible(page);
  await page.keyboard.press('Escape');
  await page.locator('dialog').waitFor({ state: 'detached' });
}

async function checkTabs(page: Page, names: readonly string[]): Promise<void> {
  await page.locator('dialog').waitFor();
  await expectAccessible(page);
  for (const name of names) {
    await page.getByRole('tab', { name }).click();
    await page.getByText('Loading …').waitFor({ state: 'detached' });
    await expectAccessible(page);
  }
  await page.keyboard.press('Escape');
  await page.locator('dialog').waitFor({ state: 'detached' });
}
