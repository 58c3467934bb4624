import type { Page } from 'playwright-core';
import { describe, expect, test, vi } from 'vitest';
import { browserTimeout, isChromiumInstalled, openBrowser } from '../support/browser.ts';
import { createGroup, insertMessage, say } from '../support/chat.ts';
import { type Data, signUp } from '../support/client.ts';
import { createDatabase } from '../support/database.ts';
import { startServer } from '../support/server.ts';
import { eventsDocument } from '../support/stream.ts';

describe.skipIf(!isChromiumInstalled)(
  'EventSource in Chromium (skipped where /usr/bin/chromium is not installed)',
  () => {
    test('an EventSource gets events, and those that it missed while its server was down', browserTimeout, async () => {
      await using browser = await openBrowser();
      await using database = await createDatabase();
      const first = await startServer({ database });
      const [ada, grace] = [await signUp(first, 'ada'), await signUp(first, 'grace')];
      const chatId = await createGroup(ada, [grace]);

      const page = await browser.newPage();
      await page.goto(`${first.url}/livez`);
      const { streamToken } = await grace.ask('mutation { streamToken }');
      const heard = await listen(
        page,
        `/graphql/stream?${new URLSearchParams({ streamToken, query: eventsDocument })}`,
      );
      await vi.waitFor(() => expect(heard.map(nameOf)).toEqual(['CaughtUp']), patience);
      await say(ada, chatId, 'one');
      await vi.waitFor(() => expect(heard.map(contentOf)).toContain('one'), patience);

      await first.close();
      await insertMessage(first, chatId, ada, 'two');
      await using second = await startServer({ database, env: { PORT: new URL(first.url).port } });
      expect(second.url).toBe(first.url);
      await vi.waitFor(() => expect(heard.map(contentOf)).toContain('two'), patience);
      await say(ada, chatId, 'three');
      await vi.waitFor(() => expect(heard.map(contentOf)).toContain('three'), patience);

      expect(heard.map(contentOf).filter((content) => content !== undefined)).toEqual(['one', 'two', 'three']);
    });
  },
);

const patience = { timeout: 15_000, interval: 50 };

/** Opens an EventSource in the page. Adds its envelopes to the returned list as they arrive. */
async function listen(page: Page, path: string): Promise<Data[]> {
  const heard: Data[] = [];
  await page.exposeFunction('hear', (data: string) => void heard.push(JSON.parse(data).data.events));
  await page.evaluate(`new EventSource(${JSON.stringify(path)}).addEventListener('next', ({ data }) => hear(data))`);
  return heard;
}

const nameOf = (envelope: Data): string => envelope.event.__typename;
const contentOf = (envelope: Data): string | undefined => envelope.event.message?.content;
