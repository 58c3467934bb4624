import type { Page } from 'playwright-core';
import { expect, test, describe } from 'vitest';
import { browserTimeout, isChromiumInstalled, openBrowser } from '../support/browser.ts';
import { mailSettings, startMailServer, type ReceivedMail } from '../support/mail.ts';
import { startServer, type TestServer } from '../support/server.ts';
import { expectAccessible, openWindow } from '../support/web.ts';

describe.skipIf(!isChromiumInstalled)('mail links in the chat (skipped without /usr/bin/chromium)', () => {
  test(
    'a newcomer confirms the address, forgets the password, changes the address and leaves',
    browserTimeout,
    async () => {
      const mail = await startMailServer();
      const server = await startServer({ env: mailSettings(mail, { SIGN_UP_CONFIRM: 'on' }) });
      await using browser = await openBrowser();
      const { page, complaints } = await openWindow(browser, server);
      await page.getByRole('button', { name: 'Create an account' }).click();
      await page.getByLabel('Username').fill('ada');
      await page.getByLabel('Email').fill('ada@example.com');
      await page.getByLabel('Password').fill('wrote the first program');
      await page.getByRole('button', { name: 'Create account' }).click();
      await page.getByText('An email to ada@example.com has a link').waitFor();
      await expectAccessible(page);
      await follow(page, server, await mail.mailTo('ada@example.com'));
      await page.getByRole('button', { name: 'Confirm' }).click();
      await page.getByText('ada@example.com is yours').waitFor();
      await page.getByRole('button', { name: 'Continue' }).click();
      expect(page.url()).toBe(`${server.url}/`);

      await page.getByRole('button', { name: 'Forgot your password?' }).click();
      await page.getByLabel('Email').fill('ada@example.com');
      await page.getByRole('button', { name: 'Send the link' }).click();
      await page.getByText('If ada@example.com has an account').waitFor();
      const reset = await mail.mailTo('ada@example.com');
      await follow(page, server, reset);
      await page.getByLabel('New password').fill('short');
      await page.getByRole('button', { name: 'Set the password' }).click();
      await page.getByText(/New password must/).waitFor();
      await expectAccessible(page);
      await page.getByLabel('New password').fill('looked at the stars');
      await page.getByRole('button', { name: 'Set the password' }).click();
      await page.getByRole('navigation', { name: 'Chats' }).waitFor();
      expect((await server.sql.query('select from sessions')).rowCount).toBe(1);
      await follow(page, server, reset);
      await page.getByLabel('New password').fill('looked at the sun');
      await page.getByRole('button', { name: 'Set the password' }).click();
      await page.getByRole('alert').waitFor();
      await page.getByRole('button', { name: 'Go to the chat' }).click();

      await openAccount(page);
      await page.getByText('Confirmed', { exact: true }).waitFor();
      await expectAccessible(page);
      const data = page.locator('section', { has: page.getByRole('heading', { name: 'Your data' }) });
      await data.getByLabel('Your password').fill('looked at the stars');
      const [download] = await Promise.all([
        page.waitForEvent('download'),
        data.getByRole('button', { name: 'Download' }).click(),
      ]);
      expect(download.suggestedFilename()).toBe('parley.zip');

      await page.getByRole('button', { name: 'Change it' }).click();
      await page.getByLabel('New address').fill('countess@example.com');
      await page.getByLabel('Your password').first().fill('looked at the stars');
      await page.getByRole('button', { name: 'Change address' }).click();
      await page.getByText('An email to countess@example.com').waitFor();
      await follow(page, server, await mail.mailTo('countess@example.com'));
      await page.getByRole('button', { name: 'Confirm' }).click();
      await page.getByRole('button', { name: 'Continue' }).click();

      await openAccount(page);
      await page.getByText('countess@example.com').waitFor();
      await page.getByRole('button', { name: 'Delete my account' }).click();
      await page.getByLabel('Your password').fill('looked at the sky');
      await page.getByRole('button', { name: 'Delete my account', exact: true }).click();
      await page.getByRole('alert').waitFor();
      await page.getByLabel('Your password').fill('looked at the stars');
      await page.getByRole('button', { name: 'Delete my account', exact: true }).click();
      await page.getByRole('heading', { name: 'Welcome back' }).waitFor();
      expect((await server.sql.query('select from users where deleted_at is null')).rowCount).toBe(0);
      expect(complaints).toEqual([]);
    },
  );
});

/** Opens the link in an email, as if from a mail program. */
async function follow(page: Page, server: TestServer, { text }: ReceivedMail): Promise<void> {
  const link = /https:\/\/chat\.example\.com(\/\S+)/.exec(text)?.[1] ?? '';
  await page.goto('about:blank');
  await page.goto(server.url + link);
}

async function openAccount(page: Page): Promise<void> {
  await page.getByRole('button', { name: /Settings/ }).click();
  await page.getByRole('tab', { name: 'Account' }).click();
}
