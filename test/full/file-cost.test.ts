import { randomBytes } from 'node:crypto';
import { beforeAll, expect, test } from 'vitest';
import { createGroup, keyOf, say } from '../support/chat.ts';
import { signUp, type Person } from '../support/client.ts';
import { download, readFileNode, upload } from '../support/file.ts';
import { deleteMessage } from '../support/message.ts';
import { costOf, fill, startExplainedServer, type Cost } from '../support/plans.ts';
import type { TestServer } from '../support/server.ts';

const manyFiles = 20_000;

let server: TestServer;
let ada: Person;
let grace: Person;
let chatId: string;
beforeAll(async () => {
  server = await startExplainedServer();
  [ada, grace] = await Promise.all([signUp(server, 'ada'), signUp(server, 'grace')]);
  chatId = await createGroup(ada, [grace]);
});

/**
 * Returns the cost of uploading a file, sending a message with it, reading it and deleting it. By the last three of the
 * seven rounds, the plans of the statements are cached. Each cost is the lowest of these three rounds, because
 * concurrent work by housekeeping and the feed also counts.
 */
async function readCosts(): Promise<Record<string, Cost>> {
  const times: Record<string, Cost>[] = [];
  for (let time = 0; time < 7; time += 1) {
    let id = '';
    let url = '';
    let messageId = '';
    times.push({
      upload: await costOf(
        server,
        async () => void ({ id } = await upload(server, ada, new Uint8Array(randomBytes(99)))),
      ),
      send: await costOf(server, async () => void (messageId = await say(ada, chatId, '', { fileIds: [id] }))),
      read: await costOf(server, async () => {
        ({ url } = await readFileNode(grace, id));
        await (await download(server, url)).arrayBuffer();
      }),
      end: await costOf(server, () => deleteMessage(ada, messageId)),
    });
  }
  return times.slice(-3).reduce(cheaper);
}

function cheaper(one: Record<string, Cost>, other: Record<string, Cost>): Record<string, Cost> {
  return Object.fromEntries(
    Object.entries(one).map(([step, cost]) => {
      const more = other[step] ?? cost;
      return [step, { ...cost, rows: Math.min(cost.rows, more.rows), blocks: Math.min(cost.blocks, more.blocks) }];
    }),
  );
}

test('a file costs the same when there are twenty thousand others, even with plans that were made when there were none', async () => {
  const before = await readCosts();
  await fill(
    server.database,
    `with given as (select n, decode(md5(n::text) || md5('x' || n), 'hex') as hash from generate_series(1, $2::int) n),
    added as (insert into blobs (hash, size, content_type) select hash, 10, 'text/plain' from given)
    insert into files (uploader_id, blob_hash, name) select $1, hash, 'a.txt' from given`,
    [keyOf(ada.userId), manyFiles],
  );
  const after = await readCosts();
  for (const [step, cost] of Object.entries(after)) {
    expect([step, cost.rows]).toEqual([
      step,
      expect.toSatisfy((rows: number) => rows <= (before[step]?.rows ?? 0) + 500),
    ]);
    // The B-trees have grown by a level or two. Reading the whole blob table would take over 300 blocks.
    expect([step, cost.blocks <= (before[step]?.blocks ?? 0) * 1.5 + 100]).toEqual([step, true]);
  }
});
