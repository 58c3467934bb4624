import * as fc from 'fast-check';
import { expect } from 'vitest';
import { createGroup, createPublicChannel, keyOf } from './chat.ts';
import { signUp, type Person } from './client.ts';
import { Reader } from './reader.ts';
import { startServer, type TestServer } from './server.ts';

let server: TestServer;
let nodes: readonly [TestServer, TestServer];
let ada: Person;
let grace: Person;
let linus: Person;
let people: readonly [Person, Person, Person];

/** Starts two nodes with three users, for the rest of the calling test file. */
export async function startAnyOrder(): Promise<void> {
  server = await startServer();
  nodes = [server, await startServer({ database: server.database })];
  [ada, grace, linus] = [await signUp(server, 'ada'), await signUp(server, 'grace'), await signUp(server, 'linus')];
  people = [ada, grace, linus];
}

const place = fc.nat({ max: 2 });
const someReader = fc.nat({ max: 5 });

/**
 * Random sequences of the possible actions. An action that is not possible when its turn comes (such as adding a member
 * again) does nothing.
 */
const steps = fc.array(
  fc.oneof(
    { weight: 8, arbitrary: fc.record({ do: fc.constant('send' as const), chat: place, count: fc.nat({ max: 5 }) }) },
    { weight: 2, arbitrary: fc.record({ do: fc.constant('edit' as const), chat: place }) },
    {
      weight: 4,
      arbitrary: fc.record({ do: fc.constant('add' as const), chat: place, person: place, shows: fc.boolean() }),
    },
    { weight: 4, arbitrary: fc.record({ do: fc.constant('remove' as const), chat: place, person: place }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('delete' as const), chat: place }) },
    { weight: 2, arbitrary: fc.record({ do: fc.constant('turn' as const) }) },
    { weight: 4, arbitrary: fc.record({ do: fc.constantFrom('cut' as const, 'move' as const), reader: someReader }) },
    { weight: 2, arbitrary: fc.record({ do: fc.constant('stall' as const), reader: someReader }) },
    { weight: 3, arbitrary: fc.record({ do: fc.constant('listen' as const), reader: someReader }) },
  ),
  { minLength: 20, maxLength: 80 },
);
type Step = typeof steps extends fc.Arbitrary<(infer Value)[]> ? Value : never;

/** A membership in the model: its first event, whether it has ended, and the first message that it shows. */
type Membership = {
  person: Person;
  chatId: string;
  since: bigint;
  isOver: boolean;
  visibleFrom: number;
};

type World = {
  chatIds: string[];
  memberships: Membership[];
  /** The position where all readers start. */
  start: bigint;
  readers: { person: Person; reader: Reader; node: number }[];
};

type LogEntry = {
  id: bigint;
  kind: string;
  chatId: string;
  userId: string;
  seq: number | null;
  turned: 'PUBLIC' | 'PRIVATE' | null;
};

/** Performs random steps in `numRuns` runs, and expects each reader to receive exactly the events that it should. */
export async function expectExactEvents(numRuns: number): Promise<void> {
  await fc.assert(
    fc.asyncProperty(steps, async (all) => {
      const world = await createWorld();
      for (const step of all) await perform(world, step);
      await finish(world);
      const log = await readLog(world);
      for (const { person, reader } of world.readers) {
        expectTold(world, log, person, reader);
        reader.close();
      }
    }),
    // A failure prints its seed. Pass `{ seed, path }` here to reproduce the failure.
    { numRuns, endOnFailure: true },
  );
}

/** Creates two groups and a public channel. Ada is in all of them, Grace is in one group, and Linus is in none. */
async function createWorld(): Promise<World> {
  const { eventCursor } = (await ada.ask('{ viewer { eventCursor } }')).viewer;
  const chatIds = [await createGroup(ada, [grace]), await createGroup(ada, [grace]), await createPublicChannel(ada)];
  const world: World = {
    chatIds,
    memberships: [],
    start: BigInt(eventCursor.split('.')[1]),
    readers: [],
  };
  await readMemberships(world);
  await perform(world, { do: 'remove', chat: 1, person: 1 });
  world.readers = people.flatMap((person) =>
    nodes.map((node, index) => ({ person, node: index, reader: new Reader(node, person, { cursor: eventCursor }) })),
  );
  return world;
}

async function perform(world: World, step: Step): Promise<void> {
  if ('reader' in step) return disturb(world, step);
  try {
    await server.sql.query(statementFor(world, step));
  } catch (error) {
    // The chat no longer allows the step, so nothing happens.
    if (!String((error as { code?: unknown }).code).startsWith('23')) throw error;
  }
  await readMemberships(world);
}

function statementFor(world: World, step: Exclude<Step, { reader: number }>): { text: string; values: unknown[] } {
  const chat = keyOf(world.chatIds['chat' in step ? step.chat : 2] ?? '');
  const person = keyOf((people['person' in step ? step.person : 0] ?? ada).userId);
  switch (step.do) {
    case 'send':
      return {
        text: `insert into messages (chat_id, seq, content)
        select id, last_seq + n, 'message' from chats, generate_series(1, $2::int) n where id = $1`,
        values: [chat, step.count],
      };
    case 'edit':
      return {
        text: `update messages set content = content || '!' where chat_id = $1 and seq = (
          select 1 + floor(random() * last_seq) from chats where id = $1)`,
        values: [chat],
      };
    case 'add':
      return {
        text: `insert into members (chat_id, user_id, visible_from_seq)
        select id, $2, case when $3 then 1 else last_seq + 1 end from chats where id = $1`,
        values: [chat, person, step.shows],
      };
    case 'remove':
      return { text: 'delete from members where chat_id = $1 and user_id = $2', values: [chat, person] };
    case 'delete':
      return { text: 'delete from chats where id = $1', values: [chat] };
    case 'turn':
      return {
        text: `update chats set type = case type when 'PUBLIC_CHANNEL' then 'PRIVATE_CHANNEL' else 'PUBLIC_CHANNEL' end::chat_type
        where id = $1`,
        values: [chat],
      };
    default:
      return step satisfies never;
  }
}

async function disturb(world: World, step: Extract<Step, { reader: number }>): Promise<void> {
  const disturbed = world.readers[step.reader];
  if (disturbed === undefined) return;
  const { reader } = disturbed;
  switch (step.do) {
    case 'cut':
      return reader.cut();
    case 'move':
      disturbed.node = 1 - disturbed.node;
      return reader.moveTo(nodes[disturbed.node] ?? server);
    case 'stall':
      return reader.stall();
    case 'listen':
      reader.resume();
      return void (await reader.live());
  }
}

/** Brings the model's memberships up to date. Nothing else changes the memberships in the meantime. */
async function readMemberships({ chatIds, memberships }: World): Promise<void> {
  const { rows } = await server.sql.query(
    `select m.chat_id as chat, m.user_id as person, m.since_event as since, m.visible_from_seq as "visibleFrom"
    from members m where m.chat_id = any ($1)`,
    [chatIds.map(keyOf)],
  );
  const rowOf = ({ chatId, person, since }: Membership) =>
    rows.find(
      (row) => row.chat === keyOf(chatId) && row.person === keyOf(person.userId) && BigInt(row.since) === since,
    );
  for (const known of memberships) {
    const row = rowOf(known);
    if (row === undefined) known.isOver = true;
    // `visible_from_seq` never changes during a membership, not even when the chat becomes public.
    else expect(row.visibleFrom).toBe(known.visibleFrom);
  }
  for (const row of rows) {
    const person = people.find(({ userId }) => keyOf(userId) === row.person) ?? ada;
    const chatId = chatIds.find((id) => keyOf(id) === row.chat) ?? '';
    const since = BigInt(row.since);
    const made = { person, chatId, since, isOver: false, visibleFrom: row.visibleFrom };
    if (!memberships.some((known) => rowOf(known) === row)) memberships.push(made);
  }
}

/** Resumes every reader, and waits until all of them have received the same final event. */
async function finish({ readers }: World): Promise<void> {
  for (const { reader } of readers) reader.resume();
  const marker = await createGroup(ada, [grace, linus], 'the end');
  await Promise.all(
    readers.map(({ reader }) => reader.until(() => reader.told.some(({ chatId }) => chatId === marker), 'the end')),
  );
}

async function readLog({ chatIds, start }: World): Promise<LogEntry[]> {
  const { rows } = await server.sql.query(
    `select id, kind, chat_id as chat, user_id as "userId", seq,
      case when (detail ->> 'turned_public')::bool then 'PUBLIC'
        when (detail ->> 'turned_private')::bool then 'PRIVATE' end as turned
    from events
    where chat_id = any ($1) and id > $2
      and kind in ('NewChat', 'AddToChat', 'RemoveFromChat', 'ChatUpdated', 'ChatDeleted', 'NewMessage', 'MessageEdited')
    order by id`,
    [chatIds.map(keyOf), String(start)],
  );
  return rows.map((row) => ({
    ...row,
    id: BigInt(row.id),
    chatId: chatIds.find((id) => keyOf(id) === row.chat) ?? '',
  }));
}

function expectTold({ chatIds, memberships }: World, log: LogEntry[], person: Person, reader: Reader): void {
  const must = new Set<bigint>();
  const may = new Set<bigint>();
  for (const { chatId, since, isOver, visibleFrom } of memberships.filter((each) => each.person === person)) {
    const turns = log.filter((entry) => entry.chatId === chatId && entry.turned !== null);
    const last = turns.at(-1);
    // The channel is public from the beginning until it becomes private.
    const isBornPublic = chatId === chatIds[2];
    const wasPublic = isBornPublic || turns.length > 0;
    const openedAt = last === undefined ? (isBornPublic ? 0n : null) : last.turned === 'PUBLIC' ? last.id : null;
    const isEnd = ({ kind, userId }: LogEntry) =>
      kind === 'ChatDeleted' || (kind === 'RemoveFromChat' && userId === keyOf(person.userId));
    const later = log.filter((entry) => entry.chatId === chatId && entry.id >= since);
    const end = isOver ? later.find(isEnd) : undefined;
    const during = later.filter(({ id }) => end === undefined || id <= end.id);
    for (const { id, seq } of during) {
      const isShown = seq === null || seq >= visibleFrom || (openedAt !== null && id > openedAt);
      // A reader who catches up after a membership has ended receives only its end.
      if (isOver ? id === end?.id : isShown) must.add(id);
      // A reader who catches up sees the chat in its current state, so it sees the whole chat while the chat is public.
      if (isShown || wasPublic) may.add(id);
    }
  }
  const told = reader.told.filter(({ chatId }) => chatIds.includes(chatId)).map(({ id }) => id);
  expect(reader.faults).toEqual([]);
  expect(reader.resets).toEqual([]);
  expect([...must].filter((id) => !told.includes(id))).toEqual([]);
  expect(told.filter((id) => !may.has(id))).toEqual([]);
}
