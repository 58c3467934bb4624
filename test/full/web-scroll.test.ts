import process from 'node:process';
import type { Page } from 'playwright-core';
import { describe, expect, test } from 'vitest';
import { isChromiumInstalled, openBrowser } from '../support/browser.ts';
import { createGroup, keyOf } from '../support/chat.ts';
import { signUp } from '../support/client.ts';
import { startServer } from '../support/server.ts';
import { openAs, openChat, rowOf } from '../support/web.ts';

const count = 10_000;

/**
 * Scrolls as a user does, one step per frame, until the list has a row for the message. Returns the maximum number of
 * rows seen while scrolling.
 */
function scrollTo(page: Page, { byPx, seq }: { byPx: number; seq: number }): Promise<number> {
  return page.evaluate(
    `new Promise((resolve) => {
      const scroller = document.querySelector('.scroller');
      const list = document.querySelector('.messages');
      let most = 0;
      const step = () => {
        most = Math.max(most, list.childElementCount);
        const ends = [list.firstElementChild, list.lastElementChild].map((row) => Number(row.dataset.seq));
        if (ends.includes(${seq})) return resolve(most);
        scroller.scrollTop += ${byPx};
        requestAnimationFrame(step);
      };
      step();
    })`,
  );
}

/** Returns whether the user can see a message. */
function isInSight(page: Page, seq: number): Promise<boolean> {
  return page.evaluate(`(() => {
    const box = document.querySelector('[data-seq="${seq}"]')?.getBoundingClientRect();
    const sight = document.querySelector('.scroller').getBoundingClientRect();
    return box !== undefined && box.bottom > sight.top && box.top < sight.bottom;
  })()`);
}

/** Returns the CPU time of each task on the page's main thread, in ms. Work outside these tasks does not count. */
function tasksIn(trace: Buffer): number[] {
  type Event = { name: string; ph: string; pid: number; tid: number; tdur?: number; args: { name?: string } };
  const { traceEvents: events } = JSON.parse(trace.toString()) as { traceEvents: Event[] };
  const threads = events.filter(({ name, args }) => name === 'thread_name' && args.name === 'CrRendererMain');
  const isOfPage = ({ pid, tid }: Event) => threads.some((thread) => thread.pid === pid && thread.tid === tid);
  return events.filter((event) => event.name === 'RunTask' && isOfPage(event)).map(({ tdur = 0 }) => tdur / 1_000);
}

describe.skipIf(!isChromiumInstalled)('a long history in Chromium (skipped without /usr/bin/chromium)', () => {
  test(
    '10,000 messages scroll with at most 200 rows and without a task of more than 50 ms',
    { timeout: 300_000 },
    async () => {
      await using server = await startServer();
      await using browser = await openBrowser();
      const [ada, grace] = [await signUp(server, 'ada'), await signUp(server, 'grace')];
      const chatId = await createGroup(ada, [grace], 'Long');
      await server.sql.query(
        `insert into messages (chat_id, sender_id, content)
        select $1, case when n % 7 < 4 then $2::bigint else $3 end,
          'Number ' || n || '.' || repeat(' More words, which take some lines.', n % 9)
        from generate_series(1, $4) n`,
        [keyOf(chatId), keyOf(ada.userId), keyOf(grace.userId), count],
      );
      const { page, complaints } = await openAs(browser, server, ada);
      await openChat(page, 'Long');
      await rowOf(page, `Number ${count}.`).waitFor();
      // A link leads to a distant message, and a button leads back to the newest message.
      await page.evaluate('location.hash += "/4000"');
      await expect.poll(() => isInSight(page, 4_000)).toBe(true);
      await page.getByRole('button', { name: 'Newest' }).click();
      await expect.poll(() => isInSight(page, count)).toBe(true);
      await page.getByRole('button', { name: 'Newest' }).waitFor({ state: 'detached' });
      await browser.startTracing(page, { categories: ['disabled-by-default-devtools.timeline', '__metadata'] });
      const up = await scrollTo(page, { byPx: -200, seq: 1 });
      const down = await scrollTo(page, { byPx: 1_000, seq: count });
      const tasks = tasksIn(await browser.stopTracing());
      const longest = Math.max(...tasks);
      process.stdout.write(`rows: ${up}, ${down}; tasks: ${tasks.length}, the longest ${longest.toFixed(1)} ms\n`);
      expect(Math.max(up, down)).toBeLessThanOrEqual(200);
      expect(tasks.length).toBeGreaterThan(1_000);
      expect(longest).toBeLessThanOrEqual(50);
      expect(complaints).toEqual([]);
    },
  );
});
