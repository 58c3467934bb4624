import { createRequire } from 'node:module';
import { readFile } from 'node:fs/promises';
import type { AxeResults } from 'axe-core';
import type { Browser, BrowserContextOptions, Page } from 'playwright-core';
import { expect } from 'vitest';
import type { Person } from './client.ts';
import type { TestServer } from './server.ts';

/** A user's browser window, and the errors that its console has shown. */
export type Window = { page: Page; complaints: string[]; close: () => Promise<void> };

export const phone: BrowserContextOptions = { viewport: { width: 390, height: 780 }, hasTouch: true, isMobile: true };

/** Opens the chat in a new browser profile. */
export async function openWindow(
  browser: Browser,
  { url }: Pick<TestServer, 'url'>,
  options: BrowserContextOptions = {},
): Promise<Window> {
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, locale: 'en-GB', ...options });
  const page = await context.newPage();
  const complaints = watchComplaints(page);
  await page.goto(url);
  return { page, complaints, close: () => context.close() };
}

/** Collects the errors in a page's console from now on. */
export function watchComplaints(page: Page): string[] {
  const complaints: string[] = [];
  page.on('console', (message) => message.type() === 'error' && complaints.push(message.text()));
  page.on('pageerror', (error) => complaints.push(String(error)));
  return complaints;
}

/** Opens the chat and signs in. */
export async function openAs(
  browser: Browser,
  server: Pick<TestServer, 'url'>,
  person: Pick<Person, 'email' | 'password'>,
  options?: BrowserContextOptions,
): Promise<Window> {
  const window = await openWindow(browser, server, options);
  await signInTo(window.page, person);
  return window;
}

/** Signs in on a page that is already open. */
export async function signInTo(page: Page, { email, password }: Pick<Person, 'email' | 'password'>): Promise<void> {
  await page.getByLabel('Email').fill(email);
  await page.getByLabel('Password').fill(password);
  await page.getByRole('button', { name: 'Sign in', exact: true }).click();
  await page.getByRole('navigation', { name: 'Chats' }).waitFor();
}

/** Opens a chat that is in the list. */
export async function openChat(page: Page, title: string): Promise<void> {
  await page.getByRole('link', { name: new RegExp(title) }).click();
  await page.getByRole('heading', { name: title, level: 1 }).waitFor();
}

/** Writes a message and presses Enter. */
export async function write(page: Page, text: string): Promise<void> {
  const field = page.locator('.composer textarea');
  await field.fill(text);
  await field.press('Enter');
}

/** Returns the row that shows a message in the history. */
export function rowOf(page: Page, text: string) {
  return page.locator('.messages article', { hasText: text });
}

const axe = readFile(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

/** Expects axe-core to find no problems on the page. https://github.com/dequelabs/axe-core */
export async function expectAccessible(page: Page): Promise<void> {
  await page.evaluate(await axe);
  const run = `axe.run({ runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'] })`;
  const { violations } = await page.evaluate<AxeResults>(run);
  const found = violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ target }) => target.join(' ')).join(', ')}`);
  expect(found).toEqual([]);
}
