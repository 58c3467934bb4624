import { expect, test } from 'vitest';
import { signUp, type Variables } from '../support/client.ts';
import type { TestDatabase } from '../support/database.ts';
import { costOf, fill, startExplainedServer } from '../support/plans.ts';
import { listPublicChannels } from '../support/public-channel.ts';

test('with many channels, the cost of a page depends only on its size, whatever the search and the cursor', async () => {
  const crowded = await startExplainedServer(addManyChannels);
  const hedy = await signUp(crowded, 'hedy');
  const first = await listPublicChannels(hedy, { first: 100 });
  const deep = Buffer.from('publicChannels:1:channel 5').toString('base64url');
  const pages: [Variables, number][] = [
    [{ first: 50 }, 50],
    [{ first: 50, after: first.pageInfo.endCursor }, 50],
    [{ first: 50, after: deep }, 50],
    [{ first: 50, search: 'channel' }, 50],
    [{ first: 50, search: 'c', after: deep }, 50],
    [{ first: 50, search: 'needle' }, 2],
    [{ first: 50, search: 'NEEDLE', after: deep }, 1],
    [{ first: 50, search: 'no such name' }, 0],
  ];
  for (const [variables, shown] of pages) {
    const cost = await costOf(crowded, async () =>
      expect((await listPublicChannels(hedy, variables)).edges).toHaveLength(shown),
    );
    expect(cost.rows, JSON.stringify({ variables, cost })).toBeLessThan(500);
  }
});

async function addManyChannels(database: TestDatabase): Promise<void> {
  // The rows are inserted in parts, because the log ends transactions that hold its lock for 10 s.
  for (const from of [1, 5_001, 10_001, 15_001]) {
    await fill(
      database,
      `insert into chats (type, name)
      select type, 'channel ' || n || case when n % 9000 = 0 then ' with a needle' else '' end
      from generate_series($1::int, $1 + 4999) n, unnest(array['PUBLIC_CHANNEL', 'PRIVATE_CHANNEL']::chat_type[]) type`,
      [from],
    );
  }
  await database.sql.query(
    `insert into search_channels (chat_id, tokens) select id, ' ' || name || ' ' from chats where type = 'PUBLIC_CHANNEL'`,
  );
  await database.sql.query('delete from search_channel_backlog');
  await database.sql.query('analyze');
}
