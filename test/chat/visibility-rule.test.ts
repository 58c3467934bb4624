import fc from 'fast-check';
import { beforeAll, expect, test } from 'vitest';
import {
  isVisiblePerson,
  visibleChats,
  visibleFrom,
  visibleMembers,
  visiblePeople,
} from '../../src/chat/visibility.ts';
import type { Asker } from '../../src/core/asker.ts';
import { connectDatabase, disconnectDatabase, inTransaction, type Db } from '../../src/postgres/client.ts';
import { createDatabase } from '../support/database.ts';
import { atFileEnd } from '../support/file-end.ts';

// The rule for who may see what is written twice: as SQL for hot code, and as a `where` for Prisma. The two must agree.

const personCount = 6;
const people = Array.from({ length: personCount }, (_, index) => index);

let db: Db;
let userIds: bigint[];
beforeAll(async () => {
  const { url, drop } = await createDatabase();
  db = connectDatabase({ url, maxConnections: 2, statementTimeoutMs: 10_000, onError: () => {} });
  atFileEnd(async () => {
    await disconnectDatabase(db);
    await drop();
  });
  const { rows } = await db.pool.query<{ id: bigint }>(
    `insert into users (username, email) select 'p' || n, 'p' || n || '@example.com'
    from generate_series(1, $1) n returning id`,
    [personCount],
  );
  userIds = rows.map(({ id }) => id);
});

type RandomChat = { type: string; members: { person: number; visibleFromSeq: number }[] };

const member = fc.record({ person: fc.constantFrom(...people), visibleFromSeq: fc.integer({ min: 1, max: 9 }) });
const membersOf = (size: { minLength: number; maxLength: number }) =>
  fc.uniqueArray(member, { selector: ({ person }) => person, ...size });
const chat: fc.Arbitrary<RandomChat> = fc.oneof(
  fc.record({
    type: fc.constantFrom('GROUP', 'PRIVATE_CHANNEL', 'PUBLIC_CHANNEL'),
    members: membersOf({ minLength: 0, maxLength: personCount }),
  }),
  fc.record({ type: fc.constant('SINGLE'), members: membersOf({ minLength: 2, maxLength: 2 }) }),
);
const world = fc.record({
  chats: fc.array(chat, { minLength: 1, maxLength: 12 }),
  erased: fc.subarray(people, { maxLength: 2 }),
});

const idsOf = (rows: { id: bigint }[]) => rows.map(({ id }) => id).toSorted((one, other) => Number(one - other));
const keysOf = (rows: { chatId: bigint; userId: bigint }[]) =>
  rows.map(({ chatId, userId }) => `${chatId} ${userId}`).toSorted();

/** Two users have at most one single chat. */
function onePerPair(chats: readonly RandomChat[]): RandomChat[] {
  const pairOf = ({ members }: RandomChat) =>
    members
      .map(({ person }) => person)
      .toSorted((one, other) => one - other)
      .join();
  return chats.filter(
    (each, index) =>
      each.type !== 'SINGLE' ||
      chats.findIndex((other) => other.type === 'SINGLE' && pairOf(other) === pairOf(each)) === index,
  );
}

async function build({ chats, erased }: typeof world extends fc.Arbitrary<infer World> ? World : never): Promise<void> {
  await db.pool.query('delete from chats');
  await db.pool.query('update users set deleted_at = case when id = any ($1) then now() end', [
    erased.map((person) => userIds[person]),
  ]);
  for (const { type, members } of onePerPair(chats)) {
    await inTransaction({ pool: db.pool }, async (client) => {
      const { rows } = await client.query<{ id: bigint }>(
        'insert into chats (type, name) values ($1, $2) returning id',
        [type, type === 'SINGLE' ? null : 'a chat'],
      );
      const chatId = rows[0]?.id;
      const ids = members.map(({ person }) => userIds[person]);
      if (type === 'SINGLE') {
        await client.query(
          `insert into single_chats (chat_id, low_user_id, high_user_id)
          select $1, min(id), max(id) from unnest($2::bigint[]) id`,
          [chatId, ids],
        );
      }
      await client.query(
        `insert into members (chat_id, user_id, visible_from_seq) select $1, * from unnest($2::bigint[], $3::int[])`,
        [chatId, ids, members.map(({ visibleFromSeq }) => visibleFromSeq)],
      );
    });
  }
}

test('SQL and Prisma find the same chats, members and users, whatever chats exist', async () => {
  let found = 0;
  let hidden = 0;
  await fc.assert(
    fc.asyncProperty(world, async (random) => {
      await build(random);
      for (const userId of userIds) {
        const asker: Asker = { kind: 'SESSION', userId, sessionId: 1n, expiresAt: new Date() };
        const { rows: chats } = await db.pool.query<{ id: bigint }>(
          `select c.id from chats c where ${visibleFrom('c', '$1')} is not null`,
          [userId],
        );
        expect(idsOf(await db.prisma.chat.findMany({ where: visibleChats(asker) }))).toEqual(idsOf(chats));
        const { rows: members } = await db.pool.query<{ chatId: bigint; userId: bigint }>(
          `select m.chat_id as "chatId", m.user_id as "userId" from members m join chats c on c.id = m.chat_id
          where ${visibleFrom('c', '$1')} is not null`,
          [userId],
        );
        expect(keysOf(await db.prisma.member.findMany({ where: visibleMembers(asker) }))).toEqual(keysOf(members));
        found += chats.length;
        hidden += onePerPair(random.chats).length - chats.length;
      }
      const { rows: shown } = await db.pool.query<{ id: bigint }>(
        `select u.id from users u where ${isVisiblePerson('u')}`,
      );
      expect(idsOf(await db.prisma.user.findMany({ where: visiblePeople, select: { id: true } }))).toEqual(
        idsOf(shown),
      );
      expect(shown).toHaveLength(personCount - random.erased.length);
    }),
    { numRuns: 25 },
  );
  // The random chats included visible and hidden ones.
  expect(found).toBeGreaterThan(0);
  expect(hidden).toBeGreaterThan(0);
});
