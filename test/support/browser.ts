import { existsSync } from 'node:fs';
import { type Browser, chromium } from 'playwright-core';

const executablePath = '/usr/bin/chromium';

/** Whether Debian's Chromium is installed. Chromium is not an npm package: .ci/run installs it. */
export const isChromiumInstalled = existsSync(executablePath);

/** The time limit of a test in a browser. A busy machine needs a while to load a page of nine megabytes. */
export const browserTimeout = { timeout: 90_000 };

/** Starts Chromium with a new, empty profile. The caller closes the browser, or uses `await using`. */
export function openBrowser(): Promise<Browser> {
  return chromium.launch({
    executablePath,
    args: [
      '--headless=new',
      '--no-sandbox',
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
    ],
  });
}
