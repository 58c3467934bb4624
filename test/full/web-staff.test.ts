import { describe, expect, test } from 'vitest';
import { browserTimeout, isChromiumInstalled, openBrowser } from '../support/browser.ts';
import { createGroup, say } from '../support/chat.ts';
import { signUp } from '../support/client.ts';
import { startServer } from '../support/server.ts';
import { reportMessage, setRoleWithSql } from '../support/staff.ts';
import { expectAccessible, openAs } from '../support/web.ts';

describe.skipIf(!isChromiumInstalled)('staff in the chat (skipped without /usr/bin/chromium)', () => {
  test('staff read a report, suspend its sender, who reads why, and lift the suspension', browserTimeout, async () => {
    const server = await startServer();
    await using browser = await openBrowser();
    const [ida, tom, rex] = [await signUp(server, 'ida'), await signUp(server, 'tom'), await signUp(server, 'rex')];
    await setRoleWithSql(server, ida, 'ADMIN');
    const chatId = await createGroup(tom, [rex], 'Garden');
    await say(tom, chatId, 'Lovely roses');
    for (const text of ['Buy my pills', 'Buy more pills']) {
      await reportMessage(tom, await say(rex, chatId, text), { reason: 'SPAM', comment: 'Again' });
    }
    const [idas, toms, rexes] = [
      await openAs(browser, server, ida),
      await openAs(browser, server, tom),
      await openAs(browser, server, rex),
    ];
    expect(await toms.page.getByRole('button', { name: 'Moderation' }).count()).toBe(0);
    const { page, complaints } = idas;
    await page.getByRole('button', { name: 'Moderation' }).click();
    const card = page.locator('.card', { hasText: 'Again' });
    await card.nth(1).waitFor();
    await card.nth(0).getByRole('button', { name: 'Read the message' }).click();
    await card.nth(0).getByRole('listitem').getByText('Lovely roses').waitFor();
    await expectAccessible(page);
    await card.nth(0).getByLabel('Note').fill('The second one');
    await card.nth(0).getByRole('button', { name: 'Suspend the sender' }).click();
    await card.nth(0).getByLabel('Suspend for').selectOption('1 day');
    await card.nth(0).getByLabel('Reason').fill('Pills');
    await card.nth(0).getByRole('button', { name: 'Suspend', exact: true }).click();
    await rexes.page.getByRole('heading', { name: 'Welcome back' }).waitFor();
    await expect.poll(() => card.count()).toBe(1);
    await card.getByRole('button', { name: 'Delete the message' }).click();
    await page.getByText('There are no open reports').waitFor();
    await page.getByLabel('Show').selectOption('Resolved');
    await page.getByText('Sender suspended').waitFor();
    await page.getByText(/The second one/).waitFor();

    await rexes.page.getByLabel('Email').fill(rex.email);
    await rexes.page.getByLabel('Password').fill(rex.password);
    await rexes.page.getByRole('button', { name: 'Sign in', exact: true }).click();
    await rexes.page.getByRole('alert').getByText('Pills').waitFor();

    await page.getByRole('tab', { name: 'Users' }).click();
    await page.getByLabel('Only those who are suspended').check();
    await page.getByText('@rex').waitFor();
    await expectAccessible(page);
    await page.getByRole('button', { name: 'Actions for rex' }).click();
    await page.getByRole('menuitem', { name: 'Lift the suspension' }).click();
    await page.getByText('No one was found').waitFor();
    await rexes.page.getByRole('button', { name: 'Sign in', exact: true }).click();
    await rexes.page.getByRole('navigation', { name: 'Chats' }).waitFor();
    await page.getByRole('tab', { name: 'Log' }).click();
    await page.getByText('Unsuspend user').waitFor();
    await expectAccessible(page);
    expect(complaints).toEqual([]);
    await Promise.all([idas, toms, rexes].map(({ close }) => close()));
  });
});
