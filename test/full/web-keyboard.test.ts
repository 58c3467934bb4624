import type { Page } from 'playwright-core';
import { describe, expect, test } from 'vitest';
import { browserTimeout, isChromiumInstalled, openBrowser } from '../support/browser.ts';
import { createGroup, say } from '../support/chat.ts';
import { signUp } from '../support/client.ts';
import { startServer } from '../support/server.ts';
import { openWindow, rowOf } from '../support/web.ts';

describe.skipIf(!isChromiumInstalled)('the chat by keyboard (skipped without /usr/bin/chromium)', () => {
  test('a user does everything with keys, and always knows where the focus is', browserTimeout, async () => {
    const server = await startServer();
    await using browser = await openBrowser();
    const grace = await signUp(server, 'grace');
    const { page, complaints } = await openWindow(browser, server);
    const keys = async (...names: string[]) => {
      for (const name of names) await page.keyboard.press(name);
    };
    const field = page.locator('.composer textarea');

    // Signs up.
    await at(page, 'textbox', 'Email');
    await keys('Tab', 'Tab', 'Tab');
    await at(page, 'button', 'Create an account');
    await keys('Enter');
    await at(page, 'textbox', 'Username');
    for (const text of ['ada', 'ada@example.com', 'wrote the first program']) {
      await page.keyboard.type(text);
      await keys('Tab');
    }
    await at(page, 'button', 'Create account');
    await keys('Enter');

    // Finds another user, and sends a message to that user.
    await page.getByRole('heading', { name: 'Choose a chat, or start one' }).waitFor();
    await keys('Control+k');
    await at(page, 'searchbox', 'Find people, channels and chats');
    await page.keyboard.type('gra');
    await page.getByRole('button', { name: /@grace/ }).waitFor();
    await keys('ArrowDown');
    await at(page, 'button', /@grace/);
    await keys('ArrowUp');
    await at(page, 'searchbox', 'Find people, channels and chats');
    await keys('Enter');
    await at(page, 'textbox', 'Message grace');
    await page.keyboard.type('Hello');
    await keys('Enter');
    await rowOf(page, 'Hello').waitFor();
    await keys('Tab', 'Enter', 'ArrowDown', 'ArrowRight', 'Enter');
    await at(page, 'textbox', 'Message grace');
    expect(await field.inputValue()).toBe('👀');
    await keys('Backspace');

    // Replies, reacts, edits and deletes in a group.
    const { user } = await grace.ask('{ user(username: "ada") { id } }');
    const chatId = await createGroup(grace, [{ userId: user.id }], 'Moths');
    for (const text of ['One', 'Two', 'Three']) await say(grace, chatId, text);
    const chat = page.getByRole('link', { name: /Moths/ });
    await chat.getByText('3').waitFor();
    await keys('Alt+ArrowUp');
    await at(page, 'textbox', 'Message Moths');
    await rowOf(page, 'Three').waitFor();
    await keys('Shift+Tab', 'Shift+Tab');
    await atRow(page, 'Three');
    await keys('Home');
    await atRow(page, 'One');
    await keys('ArrowDown', 'r');
    await at(page, 'textbox', 'Message Moths');
    await page.locator('.reply-bar').getByText('Two').waitFor();
    await keys('Escape');
    expect(await page.locator('.reply-bar').count()).toBe(0);
    await keys('Shift+Tab', 'Shift+Tab', '+', 'Enter');
    await at(page, 'button', 'React');
    await rowOf(page, 'Two').getByRole('button', { name: '👍, 1 reaction' }).waitFor();
    await keys('Tab', 'Tab', 'Enter', 'End');
    await at(page, 'menuitem', 'Report');
    await keys('Escape');
    await at(page, 'button', 'More actions');
    await keys('Shift+Tab', 'Shift+Tab', 'Shift+Tab', 'Shift+Tab', 'Escape');
    await at(page, 'textbox', 'Message Moths');
    await page.keyboard.type('Foor');
    await keys('Enter');
    await page.locator('[data-seq]', { hasText: 'Foor' }).waitFor();
    await keys('ArrowUp', 'Backspace', 'Backspace');
    await page.keyboard.type('ur');
    await keys('Enter');
    await rowOf(page, 'Four (edited)').waitFor();
    await at(page, 'textbox', 'Message Moths');
    await keys('Shift+Tab', 'Shift+Tab', 'End', 'Delete');
    await at(page, 'button', 'Cancel');
    await keys('Tab', 'Enter');
    await page.getByText('This message was deleted').waitFor();
    await page.getByRole('dialog').waitFor({ state: 'detached' });
    expect(await focused(page).getAttribute('aria-label')).toContain('deleted message');

    // Searches, and closes the panel.
    await keys('Control+Shift+f');
    await at(page, 'searchbox', 'Search messages');
    await page.keyboard.type('two');
    await page.locator('.hit').waitFor();
    await keys('ArrowDown', 'Enter');
    await page.locator('.message.target', { hasText: 'Two' }).waitFor();
    await keys('Escape');
    await page.locator('.panel').waitFor({ state: 'detached' });
    expect(await focused(page).getAttribute('aria-label')).toContain('deleted message');

    // Opens the settings, and closes them.
    await page.getByRole('button', { name: 'New chat' }).focus();
    await keys('Shift+Tab');
    await at(page, 'button', /Settings/);
    await keys('Enter');
    await at(page, 'tab', 'Profile');
    await keys('ArrowRight', 'Enter', 'Tab');
    await at(page, 'radio', 'As the system');
    await keys('Escape');
    await at(page, 'button', /Settings/);
    expect(complaints).toEqual([]);
  });
});

function focused(page: Page) {
  return page.locator(':focus');
}

/** Waits until this element has the focus. */
async function at(page: Page, role: Parameters<Page['getByRole']>[0], name: string | RegExp): Promise<void> {
  await page.getByRole(role, { name }).and(focused(page)).waitFor({ timeout: 5_000 });
}

async function atRow(page: Page, text: string): Promise<void> {
  await rowOf(page, text).and(focused(page)).waitFor({ timeout: 5_000 });
}
