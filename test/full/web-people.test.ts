import type { Browser, Page } from 'playwright-core';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { browserTimeout, isChromiumInstalled, openBrowser } from '../support/browser.ts';
import { createChat, createGroup, createPublicChannel, say, sendMessage } from '../support/chat.ts';
import { signUp } from '../support/client.ts';
import { createInvite } from '../support/invite.ts';
import { startServer, type TestServer } from '../support/server.ts';
import { expectAccessible, openAs, openChat, openWindow, rowOf, write } from '../support/web.ts';

describe.skipIf(!isChromiumInstalled)('people in the chat (skipped without /usr/bin/chromium)', () => {
  let server: TestServer;
  let browser: Browser;
  beforeAll(async () => {
    [server, browser] = await Promise.all([startServer(), openBrowser()]);
  }, 60_000);
  afterAll(() => browser?.close());

  test('an invite link leads a newcomer and a user into its chat', browserTimeout, async () => {
    const [hedy, carl, noor] = [
      await signUp(server, 'hedy'),
      await signUp(server, 'carl'),
      await signUp(server, 'noor'),
    ];
    const chatId = await createGroup(hedy, [noor], 'Frequencies');
    await say(hedy, chatId, 'Welcome');
    const { code } = await createInvite(hedy, { chatId, maxUses: 2 });
    const link = `${server.url}/#/invite/${code}`;

    const newcomer = await openWindow(browser, server);
    await goTo(newcomer.page, link);
    await newcomer.page.getByText('You are invited to Frequencies').waitFor();
    await newcomer.page.getByLabel('Username').fill('george');
    await newcomer.page.getByLabel('Email').fill('george@example.com');
    await newcomer.page.getByLabel('Password').fill('short');
    await newcomer.page.getByRole('button', { name: 'Create account' }).click();
    await newcomer.page.getByText(/Password must/).waitFor();
    await newcomer.page.getByText('You are invited to Frequencies').waitFor();
    await newcomer.page.getByLabel('Password').fill('wrote for the player piano');
    await newcomer.page.getByRole('button', { name: 'Create account' }).click();
    await newcomer.page.getByRole('heading', { name: 'Frequencies', level: 1 }).waitFor();
    expect(await newcomer.page.getByRole('dialog').count()).toBe(0);

    const { page } = await openAs(browser, server, carl);
    await goTo(page, link);
    await page.getByRole('dialog').getByText('You are invited to Frequencies').waitFor();
    await expectAccessible(page);
    await page.getByRole('button', { name: 'Join' }).click();
    await page.getByRole('heading', { name: 'Frequencies', level: 1 }).waitFor();
    await goTo(newcomer.page, link);
    await newcomer.page.getByText('This invite lets no one in any more').waitFor();
    await Promise.all([newcomer.page.context().close(), page.context().close()]);
  });

  test('a user finds a public channel, joins it and writes to it', browserTimeout, async () => {
    const [mary, joan] = [await signUp(server, 'mary'), await signUp(server, 'joan')];
    await createPublicChannel(mary, 'Compilers');
    const { page, complaints, close } = await openAs(browser, server, joan);
    await page.keyboard.press('Control+k');
    await page.keyboard.type('compil');
    await page.getByRole('button', { name: /Compilers/ }).waitFor();
    await page.keyboard.press('ArrowDown');
    await page.keyboard.press('Enter');
    await page.getByRole('heading', { name: 'Compilers', level: 1 }).waitFor();
    await write(page, 'Hello all');
    await rowOf(page, 'Hello all').waitFor();
    expect(complaints).toEqual([]);
    await close();
  });

  test('a user quietens, reports and blocks another, and lifts the block', browserTimeout, async () => {
    const [alan, troll] = [await signUp(server, 'alan'), await signUp(server, 'troll')];
    const { id } = await createChat(troll, { type: 'SINGLE', memberIds: [alan.userId] });
    await say(troll, id, 'Buy my pills');
    const { page, close } = await openAs(browser, server, alan);
    await openChat(page, 'troll');
    await page.getByRole('button', { name: 'Details and members' }).click();
    await page.getByLabel('Notify me of').selectOption('MENTIONS');
    const readLevel = async () => (await server.sql.query(levelQuery, ['alan'])).rows[0]?.level;
    await expect.poll(readLevel).toBe('MENTIONS');

    await rowOf(page, 'Buy my pills').hover();
    await page.getByRole('button', { name: 'More actions' }).click();
    await page.getByRole('menuitem', { name: 'Report' }).click();
    await page.getByLabel('Reason').selectOption('SPAM');
    await expectAccessible(page);
    await page.getByRole('button', { name: 'Report', exact: true }).click();
    await page.getByText('The staff of this server will look at it').waitFor();
    expect((await server.sql.query('select from reports')).rowCount).toBe(1);

    await page.getByRole('button', { name: 'Block', exact: true }).click();
    await page.getByRole('dialog').getByRole('button', { name: 'Block', exact: true }).click();
    await page.getByRole('button', { name: 'Unblock' }).waitFor();
    expect((await sendMessage(troll, id, 'Are you there?')).__typename).toBe('Forbidden');
    await page.getByRole('button', { name: 'Unblock' }).click();
    await page.getByRole('button', { name: 'Block', exact: true }).waitFor();
    expect((await sendMessage(troll, id, 'Sorry')).__typename).toBe('Message');
    await close();
  });

  test(
    'what the server refuses goes back into the field, and Alt with an arrow changes the chat',
    browserTimeout,
    async () => {
      const [linus, ken] = [await signUp(server, 'linus'), await signUp(server, 'ken')];
      await say(linus, await createGroup(linus, [ken], 'First'), 'one');
      await say(linus, await createGroup(linus, [ken], 'Second'), 'two');
      const { page, close } = await openAs(browser, server, linus);
      await openChat(page, 'Second');
      await rowOf(page, 'two').waitFor();
      const long = 'long '.repeat(2_001).trim();
      await write(page, long);
      await page.getByText('Not sent').waitFor();
      expect(await page.locator('.composer textarea').inputValue()).toBe(long);
      await page.locator('.composer textarea').fill('');
      await page.keyboard.press('Alt+ArrowDown');
      await page.getByRole('heading', { name: 'First', level: 1 }).waitFor();
      await page.keyboard.press('Alt+ArrowUp');
      await page.getByRole('heading', { name: 'Second', level: 1 }).waitFor();
      expect(await page.getByLabel('Edit message').count()).toBe(0);
      await close();
    },
  );

  test('dialogs and panels take the focus, and give it back', browserTimeout, async () => {
    const [barbara, edsger] = [await signUp(server, 'barbara'), await signUp(server, 'edsger')];
    const chatId = await createGroup(barbara, [edsger], 'Abstractions');
    await say(edsger, chatId, '```\n' + 'wide '.repeat(100) + '\n```');
    const { page, close } = await openAs(browser, server, barbara);
    await openChat(page, 'Abstractions');
    await rowOf(page, 'wide').focus();
    await page.keyboard.press('?');
    await expectAccessible(page);
    await page.keyboard.press('Escape');
    await rowOf(page, 'wide').and(page.locator(':focus')).waitFor();

    const add = page.getByRole('button', { name: 'New chat' });
    await add.focus();
    await page.keyboard.press('Enter');
    await page.getByRole('radio', { name: 'Group' }).and(page.locator(':focus')).waitFor();
    const people = page.getByRole('textbox', { name: 'People' });
    await people.fill('edsger');
    await page.getByRole('button', { name: /@edsger/ }).press('Enter');
    await people.and(page.locator(':focus')).waitFor();
    await expectAccessible(page);
    await page.keyboard.press('Escape');
    await add.and(page.locator(':focus')).waitFor();

    const details = page.getByRole('button', { name: 'Details and members' });
    await details.press('Enter');
    await page.keyboard.press('Tab');
    await page.getByRole('button', { name: 'Close details' }).and(page.locator(':focus')).waitFor();
    for (const name of ['Edit', 'Add members']) {
      await page.getByRole('button', { name, exact: true }).press('Enter');
      await page.getByRole('dialog').waitFor();
      await expectAccessible(page);
      await page.keyboard.press('Escape');
      await page.getByRole('button', { name, exact: true }).and(page.locator(':focus')).waitFor();
    }
    await page.keyboard.press('Escape');
    await details.and(page.locator(':focus')).waitFor();
    await close();
  });

  test('a user changes the picture that others see, and ends a session elsewhere', browserTimeout, async () => {
    const ada = await signUp(server, 'ada');
    const { page, close } = await openAs(browser, server, ada);
    const other = await openAs(browser, server, ada);
    const dialog = page.getByRole('dialog');
    await page.getByRole('button', { name: /Settings/ }).click();
    const picture = dialog.locator('input[type=file]');
    await picture.setInputFiles({ name: 'ada.txt', mimeType: 'text/plain', buffer: Buffer.from('no picture') });
    // A notice can be read even while the dialog covers the page.
    await dialog.getByRole('status').locator('.failure').waitFor();
    await picture.setInputFiles({ name: 'ada.png', mimeType: 'image/png', buffer: await square() });
    await dialog.locator('.portrait img').waitFor();
    await other.page.locator('.me .portrait img').waitFor();

    await dialog.getByRole('tab', { name: 'Devices' }).click();
    await dialog.getByText('This device').waitFor();
    // The sign-up through the API also opened a session, which has no browser.
    await dialog.locator('.card', { hasText: 'Chrome' }).getByRole('button', { name: 'Sign out' }).click();
    await other.page.getByRole('heading', { name: 'Welcome back' }).waitFor();
    await expect.poll(() => dialog.locator('.card', { hasText: 'Chrome' }).count()).toBe(1);
    await close();
    await other.close();
  });

  test('after a change of the password, this device is the only one', browserTimeout, async () => {
    const grace = await signUp(server, 'grace');
    const { page, close } = await openAs(browser, server, grace);
    await page.getByRole('button', { name: /Settings/ }).click();
    await page.getByRole('tab', { name: 'Account' }).click();
    await page.getByLabel('Current password').fill('not my password');
    await page.getByLabel('New password').fill('found a moth in it');
    await page.getByRole('button', { name: 'Change password' }).click();
    await page.getByRole('alert').waitFor();
    await page.getByLabel('Current password').fill(grace.password);
    await page.getByRole('button', { name: 'Change password' }).click();
    await page.getByText('Your password has been changed').waitFor();
    const countSessions = async () => (await server.sql.query(sessionQuery, ['grace'])).rowCount;
    await expect.poll(countSessions).toBe(1);
    await page.getByRole('button', { name: /grace/ }).waitFor();
    await close();
  });
});

const levelQuery = `select m.notification_level as level from members m join users u on u.id = m.user_id where u.username = $1`;
const sessionQuery = `select from sessions s join users u on u.id = s.user_id where u.username = $1`;

function square(): Promise<Buffer> {
  return sharp({ create: { width: 64, height: 64, channels: 3, background: '#28a' } })
    .png()
    .toBuffer();
}

/** Opens the link as if in an empty tab. */
async function goTo(page: Page, link: string): Promise<void> {
  await page.goto('about:blank');
  await page.goto(link);
}
