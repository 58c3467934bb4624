import { describe, expect, test } from 'vitest';
import { findFreePort } from '../../src/postgres/embedded/server.ts';
import { browserTimeout, isChromiumInstalled, openBrowser } from '../support/browser.ts';
import { createGroup, say } from '../support/chat.ts';
import { signUp } from '../support/client.ts';
import { createDatabase } from '../support/database.ts';
import { openServer } from '../support/server.ts';
import { expectAccessible, openAs, openChat, phone, rowOf, write } from '../support/web.ts';

describe.skipIf(!isChromiumInstalled)('the chat without a server (skipped without /usr/bin/chromium)', () => {
  test(
    'two users go on through a restart of the server, and what they wrote meanwhile arrives once',
    browserTimeout,
    async () => {
      await using database = await createDatabase();
      const env = { PORT: String(await findFreePort()) };
      const first = await openServer({ database, env });
      await using browser = await openBrowser();
      const [ada, grace] = [await signUp(first, 'ada'), await signUp(first, 'grace')];
      const chatId = await createGroup(ada, [grace], 'Weather');
      await say(grace, chatId, 'It rains');
      const { page } = await openAs(browser, first, ada);
      const graces = await openAs(browser, first, grace, phone);
      for (const window of [page, graces.page]) {
        await openChat(window, 'Weather');
        await rowOf(window, 'It rains').waitFor();
      }

      await first.close();
      await page.getByText('You are offline').waitFor();
      await write(page, 'Written offline');
      await rowOf(page, 'Written offline').getByText('Waiting to be sent').waitFor();
      await expectAccessible(page);

      await using second = await openServer({ database, env });
      await page
        .getByRole('button', { name: 'Try now' })
        .click({ timeout: 5_000 })
        .catch(() => {});
      await rowOf(graces.page, 'Written offline').waitFor();
      await write(graces.page, 'It has stopped');
      await rowOf(page, 'It has stopped').waitFor();
      await page.getByText('You are offline').waitFor({ state: 'detached' });
      for (const window of [page, graces.page]) expect(await rowOf(window, 'Written offline').count()).toBe(1);
      expect(await rowOf(page, 'Waiting to be sent').count()).toBe(0);
      const { rowCount } = await second.sql.query(`select from messages where content = 'Written offline'`);
      expect(rowCount).toBe(1);
    },
  );
});
