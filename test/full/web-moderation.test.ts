import { describe, expect, test } from 'vitest';
import { browserTimeout, isChromiumInstalled, openBrowser } from '../support/browser.ts';
import { createGroup } from '../support/chat.ts';
import { signUp } from '../support/client.ts';
import { startServer } from '../support/server.ts';
import { expectAccessible, openAs, openChat } from '../support/web.ts';

describe.skipIf(!isChromiumInstalled)('moderation in the chat (skipped without /usr/bin/chromium)', () => {
  test('an owner moderates a chat, invites to it, and settings are kept', browserTimeout, async () => {
    const server = await startServer();
    await using browser = await openBrowser();
    const [hedy, carl] = [await signUp(server, 'hedy'), await signUp(server, 'carl')];
    await createGroup(hedy, [carl], 'Frequencies');
    const dark = { colorScheme: 'dark' } as const;
    const { page, complaints, close } = await openAs(browser, server, hedy, dark);
    const carls = await openAs(browser, server, carl);
    await openChat(page, 'Frequencies');
    await openChat(carls.page, 'Frequencies');
    await page.getByRole('button', { name: 'Details and members' }).click();
    await page.getByRole('button', { name: 'Actions for carl' }).click();
    await page.getByRole('menuitem', { name: 'Mute for an hour' }).click();
    await carls.page.getByText('You are muted here').waitFor();
    await page.getByRole('button', { name: 'New invite link' }).click();
    await page.getByRole('button', { name: 'Copy the link' }).waitFor();
    await expectAccessible(page);
    await page.getByRole('button', { name: 'Actions for carl' }).click();
    await page.getByRole('menuitem', { name: 'Ban' }).click();
    await page.getByRole('button', { name: 'Ban', exact: true }).click();
    await carls.page.getByRole('heading', { name: 'Choose a chat, or start one' }).waitFor();
    expect(await carls.page.getByRole('link', { name: /Frequencies/ }).count()).toBe(0);
    await page.getByText('Lift the ban').waitFor();

    await page.getByRole('button', { name: /Settings/ }).click();
    await page.getByLabel('Display name').fill('Hedy Lamarr');
    await page.getByRole('button', { name: 'Save' }).click();
    await expectAccessible(page);
    for (const tab of ['Devices', 'Blocked', 'Account', 'Appearance']) {
      await page.getByRole('tab', { name: tab }).click();
      await expectAccessible(page);
    }
    await page.getByLabel('Light').check();
    await page.reload();
    await page.getByRole('button', { name: /Hedy Lamarr/ }).waitFor();
    expect(await page.evaluate('document.documentElement.dataset.theme')).toBe('light');
    expect([...complaints, ...carls.complaints]).toEqual([]);
    // The page has the theme before its scripts have run.
    await page.route('**/assets/**', (route) => route.abort());
    await page.reload();
    expect(await page.evaluate('document.documentElement.dataset.theme')).toBe('light');
    await Promise.all([close(), carls.close()]);
  });
});
