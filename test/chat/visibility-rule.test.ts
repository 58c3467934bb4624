import fc from 'fast-check';
import { beforeAll, expect, test } from 'vitest';
import {
  isVisiblePerson,
  visibleChatIds,
  visibleChats,
  visibleFrom,
  visibleMembers,
  visiblePeople,
} from '../../src/chat/visibility.ts';
import type { Asker } from '../../src/core/asker.ts';
import { connectDatabase, disconnectDatabase, inTransaction, type Db } from '../../src/postgres/client.ts';
import { createDatabase } from '../support/database.ts';
import { atFileEnd } from '../support/file-end.ts';
import { rounds } from '../support/rounds.ts';

// The visibility rule is implemented twice: in SQL for hot code, and as a `where` for Prisma. Both must agree with each
// other, and with the third implementation in this file.

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

type RandomChat = {
  type: string;
  members: { person: number; visibleFromSeq: number }[];
  bans: { person: number; isOver: boolean }[];
};

const member = fc.record({ person: fc.constantFrom(...people), visibleFromSeq: fc.integer({ min: 1, max: 9 }) });
const membersOf = (size: { minLength: number; maxLength: number }) =>
  fc.uniqueArray(member, { selector: ({ person }) => person, ...size });
const ban = fc.record({ person: fc.constantFrom(...people), isOver: fc.boolean() });
const chat: fc.Arbitrary<RandomChat> = fc.oneof(
  fc.record({
    type: fc.constantFrom('GROUP', 'PRIVATE_CHANNEL', 'PUBLIC_CHANNEL'),
    members: membersOf({ minLength: 0, maxLength: personCount }),
    bans: fc.uniqueArray(ban, { selector: ({ person }) => person, maxLength: 3 }),
  }),
  fc.record({
    type: fc.constant('SINGLE'),
    members: membersOf({ minLength: 2, maxLength: 2 }),
    bans: fc.constant<RandomChat['bans']>([]),
  }),
);
const world = fc.record({
  chats: fc.array(chat, { minLength: 1, maxLength: 12 }),
  erased: fc.subarray(people, { maxLength: 2 }),
});

const idsOf = (rows: { id: bigint }[]) => rows.map(({ id }) => id).toSorted((one, other) => Number(one - other));

const keysOf = (rows: { chatId: bigint; userId: bigint }[]) =>
  rows.map(({ chatId, userId }) => `${chatId} ${userId}`).toSorted();

const isBanned = ({ bans }: RandomChat, person: number) => bans.some((each) => each.person === person && !each.isOver);

/** Returns the first seq that the person sees, or null, according to the test's own version of the rule. */
function expectedFrom(random: RandomChat, person: number): number | null {
  if (isBanned(random, person)) return null;
  if (random.type === 'PUBLIC_CHANNEL') return 1;
  return random.members.find((each) => each.person === person)?.visibleFromSeq ?? null;
}

/** Leaves out chats whose members are all banned, because those are deleted. */
const remaining = (chats: readonly RandomChat[]) =>
  onePerPair(chats).filter(
    (each) => each.members.length === 0 || each.members.some(({ person }) => !isBanned(each, person)),
  );

/** Keeps only the first single chat of each pair of users, because two users have at most one. */
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

/** Creates these chats. Returns their ids, in the order of `remaining`. */
async function build({
  chats,
  erased,
}: typeof world extends fc.Arbitrary<infer World> ? World : never): Promise<(bigint | undefined)[]> {
  await db.pool.query('delete from chats');
  await db.pool.query('update users set deleted_at = case when id = any ($1) then now() end', [
    erased.map((person) => userIds[person]),
  ]);
  const chatIds: (bigint | undefined)[] = [];
  for (const { type, members, bans } of remaining(chats)) {
    await inTransaction({ pool: db.pool }, async (client) => {
      const { rows } = await client.query<{ id: bigint }>(
        'insert into chats (type, name) values ($1, $2) returning id',
        [type, type === 'SINGLE' ? null : 'a chat'],
      );
      const chatId = rows[0]?.id;
      chatIds.push(chatId);
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
      await client.query(
        `insert into restrictions (chat_id, user_id, kind, until)
        select $1, user_id, 'BAN', case when is_over then now() - interval '1 day' end
        from unnest($2::bigint[], $3::boolean[]) as ban (user_id, is_over)`,
        [chatId, bans.map(({ person }) => userIds[person]), bans.map(({ isOver }) => isOver)],
      );
    });
  }
  return chatIds;
}

/** Expects Prisma to find exactly these chats and exactly their members. */
async function expectSameInPrisma(userId: bigint, chatIds: bigint[]): Promise<void> {
  const asker: Asker = { kind: 'SESSION', userId, sessionId: 1n, expiresAt: new Date() };
  expect(idsOf(await db.prisma.chat.findMany({ where: visibleChats(asker), select: { id: true } }))).toEqual(chatIds);
  const { rows } = await db.pool.query<{ chatId: bigint; userId: bigint }>(
    'select chat_id as "chatId", user_id as "userId" from members where chat_id = any ($1)',
    [chatIds],
  );
  expect(keysOf(await db.prisma.member.findMany({ where: visibleMembers(asker) }))).toEqual(keysOf(rows));
}

test('everyone sees what the rule says, in SQL and in Prisma, whatever chats and bans exist, and a search considers no less', async () => {
  const seen = { visible: 0, hidden: 0, banned: 0 };
  await fc.assert(
    fc.asyncProperty(world, async (random) => {
      const chatIds = await build(random);
      for (const person of people) {
        const { rows } = await db.pool.query<{ id: bigint; seq: number | null; isNamed: boolean }>(
          `select c.id, ${visibleFrom('c', '$1')} as seq, c.id in (${visibleChatIds('$1')}) as "isNamed"
          from chats c order by c.id`,
          [userIds[person]],
        );
        const expected = remaining(random.chats).map((each) => expectedFrom(each, person));
        expect(rows.map(({ id, seq }) => [id, seq])).toEqual(chatIds.map((id, index) => [id, expected[index]]));
        expect(rows.filter(({ seq, isNamed }) => seq !== null && !isNamed)).toEqual([]);
        await expectSameInPrisma(userIds[person] ?? 0n, idsOf(rows.filter(({ seq }) => seq !== null)));
        seen.visible += rows.filter(({ seq }) => seq !== null).length;
        seen.hidden += rows.filter(({ seq }) => seq === null).length;
        seen.banned += remaining(random.chats).filter((each) => isBanned(each, person)).length;
      }
      const { rows: shown } = await db.pool.query<{ id: bigint }>(
        `select u.id from users u where ${isVisiblePerson('u')}`,
      );
      expect(idsOf(await db.prisma.user.findMany({ where: visiblePeople, select: { id: true } }))).toEqual(
        idsOf(shown),
      );
      expect(shown).toHaveLength(personCount - random.erased.length);
    }),
    { numRuns: rounds(10, 25) },
  );
  // The random data included visible and hidden chats, and banned users.
  for (const count of Object.values(seen)) expect(count).toBeGreaterThan(0);
});
