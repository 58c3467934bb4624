import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { promisify } from 'node:util';
import { chromium, type Browser, type BrowserContextOptions, type Page } from 'playwright-core';
import sharp from 'sharp';
import { start } from '../src/app.ts';
import { createClient, type Client } from '../src/client/client.ts';
import { readConfig } from '../src/config.ts';
import { createLog } from '../src/logger.ts';
import { buildWebPage } from './web.ts';

const root = join(import.meta.dirname, '..');
const target = join(root, 'docs/pictures');
const password = 'a password for pictures';

/**
 * Fonts that look the same on every machine. Only the pictures need these fonts, so they are installed just for this
 * run.
 */
const fontPackages = ['@fontsource-variable/inter@5.3.0', '@fontsource/noto-color-emoji@5.3.2'];

const people = [
  { username: 'ada', displayName: 'Ada Lovelace' },
  { username: 'grace', displayName: 'Grace Hopper' },
  { username: 'linus', displayName: 'Linus Pauling' },
  { username: 'mary', displayName: 'Mary Somerville' },
] as const;
type Name = (typeof people)[number]['username'];

/**
 * Takes the pictures in docs/pictures: starts a server with a small conversation and takes screenshots of it in
 * Chromium.
 */
export async function makePictures(): Promise<void> {
  await using stack = new AsyncDisposableStack();
  const folder = await mkdtemp(join(tmpdir(), 'parley-pictures-'));
  stack.defer(() => rm(folder, { recursive: true, force: true }));
  await buildWebPage();
  const config = readConfig({ DATA_DIR: join(folder, 'data'), PORT: '0', RATE_LIMITS: 'off', LOG_LEVEL: 'warn' });
  const app = await start(config, createLog('warn'));
  stack.defer(app.close);
  const clients = await signUpAll(app.url, stack);
  const chatId = await converse(clients);
  const browser = await chromium.launch({
    executablePath: '/usr/bin/chromium',
    args: ['--headless=new', '--no-sandbox', '--disable-gpu', '--hide-scrollbars'],
  });
  stack.defer(() => browser.close());
  await mkdir(target, { recursive: true });
  const fonts = await readFonts(folder);
  for (const colorScheme of ['light', 'dark'] as const) {
    await takePictures(browser, { url: app.url, colorScheme, chatId, fonts, clients });
  }
}

async function signUpAll(url: string, stack: AsyncDisposableStack): Promise<Record<Name, Client>> {
  const made = people.map(async ({ username, displayName }) => {
    const client = createClient({ url });
    await client.signUp({ username, displayName, email: `${username}@example.com`, password });
    await client.start();
    stack.defer(() => client.stop());
    return [username, client] as const;
  });
  return Object.fromEntries(await Promise.all(made)) as Record<Name, Client>;
}

/** Fills the chats with realistic messages. Returns the id of the chat to open. */
async function converse({ ada, grace, linus, mary }: Record<Name, Client>): Promise<string> {
  const idOf = (client: Client) => client.state.viewer?.user.id ?? '';
  const memberIds = [grace, linus, mary].map(idOf);
  const { id: chatId } = await ada.createChat({ type: 'PRIVATE_CHANNEL', name: 'analytical-engine', memberIds });
  await ada.query(
    'mutation ($id: ID!) { updateChat(input: { chatId: $id, description: "Notes, drawings and the next milling run" }) { __typename } }',
    { id: chatId },
  );
  const say = (client: Client, content: string, more: { replyToId?: string; files?: Blob[] } = {}) =>
    client.sendMessage(chatId, { content, ...more });
  await say(mary, 'Morning all. The workshop has a slot on Thursday, should we take it?');
  const question = await say(linus, 'Yes please. Are the drawings for the carry mechanism final?');
  await say(grace, 'I checked them against the prototype yesterday, they hold.');
  await say(ada, 'Final, and the tolerances are in. Here is how the wheels look now:', {
    files: [await drawPicture()],
  });
  const answer = await say(mary, 'Beautiful. @ada can you pin the parts list too?', { replyToId: question.id });
  await say(ada, 'Done. One more thing: the mill wants `units: mm`, not inches.');
  const last = await say(
    grace,
    'Changed. I also wrote a test that counts to a million, it takes 11 minutes by hand 😅',
  );
  for (const client of [linus, mary]) await client.addReaction(last.id, '😂');
  for (const client of [ada, grace, linus]) await client.addReaction(answer.id, '👍');
  await ada.addReaction(answer.id, '🎉');
  await ada.query('mutation ($id: ID!) { pinMessage(messageId: $id) { __typename } }', { id: answer.id });

  const single = await grace.createChat({ type: 'SINGLE', memberIds: [idOf(ada)] });
  await grace.sendMessage(single.id, { content: 'Lunch at noon? I found a place with very good soup.' });
  const group = await linus.createChat({ type: 'GROUP', name: 'Hiking on Sunday', memberIds: [idOf(ada), idOf(mary)] });
  await linus.sendMessage(group.id, { content: 'The weather looks fine. @ada can you bring the map?' });
  const open = await mary.createChat({ type: 'PUBLIC_CHANNEL', name: 'reading-group', memberIds: [idOf(ada)] });
  await mary.sendMessage(open.id, { content: 'Next: “On the Connexion of the Physical Sciences”.' });
  return chatId;
}

/** Draws gear wheels, as a picture to send. */
async function drawPicture(): Promise<File> {
  const wheel = (x: number, y: number, radius: number, hue: number) =>
    `<g transform="translate(${x} ${y})" fill="none" stroke="hsl(${hue} 42% 46%)">
      <circle r="${radius}" stroke-width="14" stroke-dasharray="11 9"/>
      <circle r="${radius - 14}" stroke-width="5"/><circle r="${radius / 4}" stroke-width="5"/>
      ${[0, 60, 120].map((angle) => `<path d="M-${radius - 14} 0H${radius - 14}" stroke-width="4" transform="rotate(${angle})"/>`).join('')}
    </g>`;
  const svg = `<svg xmlns="http://www.w3.org/2000/svg" width="900" height="480"><rect width="100%" height="100%" fill="#f2ecdf"/>
    ${wheel(250, 245, 150, 168)}${wheel(520, 210, 104, 30)}${wheel(705, 300, 88, 205)}</svg>`;
  const png = await sharp(Buffer.from(svg)).png().toBuffer();
  return new File([new Uint8Array(png)], 'carry-mechanism.png', { type: 'image/png' });
}

async function readFonts(folder: string): Promise<string> {
  await promisify(execFile)('npm', ['install', '--silent', '--prefix', folder, ...fontPackages]);
  const inPackage = (path: string) => readFile(join(folder, 'node_modules', path), 'base64');
  const inter = await inPackage('@fontsource-variable/inter/files/inter-latin-wght-normal.woff2');
  const emoji = await inPackage('@fontsource/noto-color-emoji/files/noto-color-emoji-emoji-400-normal.woff2');
  return `
    @font-face { font-family: Inter; font-weight: 100 900; src: url(data:font/woff2;base64,${inter}) }
    @font-face { font-family: "Noto Color Emoji"; src: url(data:font/woff2;base64,${emoji}) }
    /* Takes precedence over this machine's fonts, whose emoji are black and white. */
    :root { --font: Inter, "Noto Color Emoji", sans-serif }`;
}

type Setting = {
  url: string;
  colorScheme: 'light' | 'dark';
  chatId: string;
  fonts: string;
  clients: Record<Name, Client>;
};

async function takePictures(browser: Browser, { url, colorScheme, chatId, fonts, clients }: Setting): Promise<void> {
  const take = async (name: string, device: BrowserContextOptions, prepare: (page: Page) => Promise<void>) => {
    // The page's content security policy would block these fonts.
    const options = { colorScheme, bypassCSP: true, locale: 'en-GB', deviceScaleFactor: 2, ...device };
    const context = await browser.newContext(options);
    const page = await context.newPage();
    await page.goto(url);
    await page.addStyleTag({ content: fonts });
    await prepare(page);
    // Moves the pointer away, so that it does not hover over anything.
    await page.mouse.move(1, 1);
    await page.evaluate(`document.fonts.load('16px "Noto Color Emoji"', '👍🎉😂😅')`);
    await page.evaluate('document.fonts.ready.then(() => {})');
    const png = await page.screenshot({ animations: 'disabled' });
    await sharp(png)
      .webp({ quality: 88 })
      .toFile(join(target, `${name}-${colorScheme}.webp`));
    await context.close();
  };
  const open = async (page: Page) => {
    await page.getByLabel('Email').fill('ada@example.com');
    await page.getByLabel('Password').fill(password);
    await page.getByRole('button', { name: 'Sign in', exact: true }).click();
    await page.getByRole('link', { name: /analytical-engine/ }).click();
    await page.locator('.picture img.loaded').waitFor();
    clients.grace.startTyping(chatId);
    await page.locator('.typing').getByText('Grace Hopper is typing').waitFor();
  };
  await take('chat', { viewport: { width: 1280, height: 800 } }, async (page) => {
    await open(page);
    await page.getByRole('button', { name: 'Details and members' }).click();
    await page.getByText('Members (4)').waitFor();
  });
  await take('phone', { viewport: { width: 390, height: 780 }, isMobile: true, hasTouch: true }, open);
}

if (import.meta.main) {
  await makePictures();
  process.exit();
}
