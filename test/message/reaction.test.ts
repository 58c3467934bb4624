import fc from 'fast-check';
import { beforeAll, expect, test } from 'vitest';
import { maxEmoji } from '../../src/message/reaction.ts';
import { encodeId } from '../../src/core/id.ts';
import { addMembers, createGroup, createPublicChannel, heardBy, keyOf, removeMember, say } from '../support/chat.ts';
import { type Data, type Person, signUp, signUpAll } from '../support/client.ts';
import {
  addReaction,
  deleteMessage,
  messageEventsDocument,
  onNode,
  readMessage,
  removeReaction,
} from '../support/message.ts';
import { rounds } from '../support/rounds.ts';
import type { TestServer } from '../support/server.ts';
import { sharedNode, sharedServer } from '../support/shared-server.ts';
import { recordStatements } from '../support/statements.ts';
import { eventOf, followChat, followEvents, readMissed, type EventStream } from '../support/stream.ts';

let server: TestServer;
let otherNode: TestServer;
let ada: Person;
let grace: Person;
let linus: Person;
let alan: Person;
let chatId: string;
beforeAll(async () => {
  server = await sharedServer();
  otherNode = await sharedNode(server);
  [ada, grace, linus, alan] = await signUpAll(server, 'ada', 'grace', 'linus', 'alan');
  chatId = await createGroup(ada, [grace]);
});

const follow = (person: Person) => followEvents(server, person, { document: messageEventsDocument });
const upTo = (last: number) => Array.from({ length: last }, (_, index) => index + 1);
/** Returns the emoji with this index, so that a test can use any number of different emojis. */
const emojiAt = (index: number) => String.fromCodePoint(0x1f400 + index);
/** Formats reactions: `👍 2 mine` stands for two 👍 reactions, one of which is the reader's. */
const show = (reactions: Data[]) =>
  reactions.map(({ emoji, count, viewerReacted }) => `${emoji} ${count}${viewerReacted ? ' mine' : ''}`);

async function reactionsSeen(by: Person, id: string): Promise<string[]> {
  return show((await readMessage(by, id)).reactions);
}

/** Returns the rows of a message's reactions (who reacts with what) and the counts. */
async function stored(id: string): Promise<{ rows: string[]; counts: Record<string, number> }> {
  const [reactions, counts] = await Promise.all([
    server.sql.query(
      `select r.user_id || ' ' || r.emoji as reaction from reactions r join messages m using (chat_id, seq)
      where m.id = $1 order by 1`,
      [keyOf(id)],
    ),
    server.sql.query(
      `select c.emoji, c.count from reaction_counts c join messages m using (chat_id, seq) where m.id = $1`,
      [keyOf(id)],
    ),
  ]);
  return {
    rows: reactions.rows.map(({ reaction }) => reaction),
    counts: Object.fromEntries(counts.rows.map(({ emoji, count }) => [emoji, count])),
  };
}

/** Adds a reaction as psql would. */
async function insertReaction(id: string, by: Person, emoji: string): Promise<void> {
  await server.sql.query(
    'insert into reactions (chat_id, seq, user_id, emoji) select chat_id, seq, $2, $3 from messages where id = $1',
    [keyOf(id), keyOf(by.userId), emoji],
  );
}

test('a reaction shows how many users react with it, and to each viewer whether they do', async () => {
  const id = await say(ada, chatId, 'like it?');
  const first = await addReaction(grace, id, '👍');
  expect(first).toMatchObject({
    __typename: 'Message',
    id,
    reactions: [{ emoji: '👍', count: 1, viewerReacted: true }],
  });
  expect(await reactionsSeen(ada, id)).toEqual(['👍 1']);
  expect(show((await addReaction(ada, id, '👍')).reactions)).toEqual(['👍 2 mine']);
  expect(show((await addReaction(ada, id, '👩🏽‍🚀')).reactions)).toEqual(['👍 2 mine', '👩🏽‍🚀 1 mine']);
  expect(await reactionsSeen(grace, id)).toEqual(['👍 2 mine', '👩🏽‍🚀 1']);
});

test('reactions are listed in the order in which they were added, however the counts change', async () => {
  const id = await say(ada, chatId, 'in order');
  for (const emoji of ['🐢', '🐇', '🐌']) await addReaction(ada, id, emoji);
  await addReaction(grace, id, '🐇');
  await addReaction(grace, id, '🐢');
  await removeReaction(ada, id, '🐢');
  expect(await reactionsSeen(ada, id)).toEqual(['🐢 1', '🐇 2 mine', '🐌 1 mine']);
  await removeReaction(grace, id, '🐢');
  await addReaction(grace, id, '🐢');
  expect(await reactionsSeen(grace, id)).toEqual(['🐇 2 mine', '🐌 1', '🐢 1 mine']);
});

test('a user reacts once with each emoji, however it is spelled', async () => {
  const id = await say(ada, chatId, 'once');
  await addReaction(ada, id, '❤️');
  await using graces = await follow(grace);
  expect(show((await addReaction(ada, id, '❤️')).reactions)).toEqual(['❤️ 1 mine']);
  expect(show((await addReaction(ada, id, '❤')).reactions)).toEqual(['❤️ 1 mine']);
  expect(await heardBy(grace, graces)).toEqual([]);
  await expect(insertReaction(id, ada, '❤️')).rejects.toMatchObject({ constraint: 'reactions_pkey' });
  expect(show((await removeReaction(ada, id, '❤')).reactions)).toEqual([]);
});

test('a reaction can be removed only by its user', async () => {
  const id = await say(ada, chatId, 'for now');
  await addReaction(ada, id, '👍');
  await addReaction(grace, id, '👍');
  expect(show((await removeReaction(grace, id, '👍')).reactions)).toEqual(['👍 1']);
  await using graces = await follow(grace);
  for (const emoji of ['👍', '👎', 'no emoji', '']) {
    const outcome = await removeReaction(grace, id, emoji);
    expect(outcome).toMatchObject({ __typename: 'Message', reactions: [{ emoji: '👍', count: 1 }] });
  }
  expect(await heardBy(grace, graces)).toEqual([]);
  expect(await stored(id)).toEqual({ rows: [`${keyOf(ada.userId)} 👍`], counts: { '👍': 1 } });
});

test('for each reaction the chat receives everything that a client needs to show it', async () => {
  const id = await say(ada, chatId, 'listen');
  const { seq } = await readMessage(ada, id);
  await using adas = await follow(ada);
  await using graces = await follow(grace);
  await using linuses = await follow(linus);
  const heard = async () => [await heardBy(ada, adas), await heardBy(grace, graces), await heardBy(linus, linuses)];
  const event = { __typename: 'ReactionsChanged', message: { seq }, emoji: '👍' };

  await addReaction(ada, id, '👍');
  const first = { ...event, count: 1, userId: ada.userId, added: true };
  expect(await heard()).toEqual([[first], [first], []]);
  await addReaction(onNode(otherNode, grace), id, '👍');
  const second = { ...event, count: 2, userId: grace.userId, added: true };
  expect(await heard()).toEqual([[second], [second], []]);
  await removeReaction(ada, id, '👍');
  const third = { ...event, count: 1, userId: ada.userId, added: false };
  expect(await heard()).toEqual([[third], [third], []]);
  await removeReaction(grace, id, '👍');
  const fourth = { ...event, count: 0, userId: grace.userId, added: false };
  expect(await heard()).toEqual([[fourth], [fourth], []]);
});

test('each viewer sees whether they reacted, with the same document and in either order', async () => {
  const document = `subscription {
    events { cursor event {
      __typename
      ... on NewChat { chat { name } }
      ... on ReactionsChanged { count userId message { reactions { emoji viewerReacted } } }
    } }
  }`;
  const followBoth = async (first: Person, second: Person): Promise<[EventStream, EventStream]> => [
    await followEvents(server, first, {
      document: document.replace('event {', 'event { ... on CaughtUp { replayed }'),
    }),
    await followEvents(server, second, {
      document: document.replace('event {', 'event { ... on CaughtUp { replayed }'),
    }),
  ];
  for (const [first, second] of [
    [ada, grace],
    [grace, ada],
  ] as const) {
    const id = await say(ada, chatId, 'whose');
    const [firsts, seconds] = await followBoth(first, second);
    await addReaction(ada, id, '👍');
    const seenBy = async (stream: EventStream) => {
      const { message } = eventOf(await stream.next('ReactionsChanged'));
      return message.reactions;
    };
    expect(await seenBy(firsts)).toEqual([{ emoji: '👍', viewerReacted: first === ada }]);
    expect(await seenBy(seconds)).toEqual([{ emoji: '👍', viewerReacted: second === ada }]);
    await Promise.all([firsts.close(), seconds.close()]);
  }
});

test('anything but exactly one emoji is refused', async () => {
  const id = await say(ada, chatId, 'not any word');
  for (const emoji of ['', 'a', '👍👍', ' 👍', ':+1:', '🇽🇽', '👍'.repeat(10_000)]) {
    const outcome = await addReaction(ada, id, emoji);
    expect(outcome).toMatchObject({ __typename: 'InvalidInput', fields: [{ path: ['emoji'] }] });
  }
  for (const messageId of ['nonsense', '', chatId]) {
    const outcome = await addReaction(ada, messageId, '👍');
    expect(outcome).toMatchObject({ __typename: 'InvalidInput', fields: [{ path: ['messageId'] }] });
  }
  expect(await stored(id)).toEqual({ rows: [], counts: {} });
  for (const emoji of ['', 'a', 'abc', 'x'.repeat(17), '👍 ', '1']) {
    await expect(insertReaction(id, ada, emoji), emoji).rejects.toMatchObject({ constraint: 'reactions_emoji_check' });
  }
});

test('a message can have at most twenty different reactions', async () => {
  const id = await say(ada, chatId, 'a zoo');
  for (const index of upTo(maxEmoji)) {
    expect(await addReaction(ada, id, emojiAt(index))).toMatchObject({ __typename: 'Message' });
  }
  expect(await addReaction(grace, id, emojiAt(0))).toMatchObject({
    __typename: 'InvalidInput',
    fields: [{ path: ['emoji'] }],
  });
  await expect(insertReaction(id, grace, emojiAt(0))).rejects.toMatchObject({ code: '23514' });
  // Everyone can still add an existing emoji, including the user who has reached the limit.
  expect(await addReaction(grace, id, emojiAt(1))).toMatchObject({ __typename: 'Message' });
  await removeReaction(ada, id, emojiAt(1));
  expect(await addReaction(grace, id, emojiAt(0))).toMatchObject({ __typename: 'InvalidInput' });
  await removeReaction(grace, id, emojiAt(1));
  expect(await addReaction(grace, id, emojiAt(0))).toMatchObject({ __typename: 'Message' });
  expect(await reactionsSeen(ada, id)).toHaveLength(maxEmoji);
});

test('of two concurrent reactions that would be the twentieth, on two nodes, one succeeds', async () => {
  for (const round of upTo(5)) {
    const id = await say(ada, chatId, `round ${round}`);
    await server.sql.query(
      `insert into reactions (chat_id, seq, user_id, emoji)
      select chat_id, seq, $2, chr(128000 + n) from messages, generate_series(1, $3) n where id = $1`,
      [keyOf(id), keyOf(ada.userId), maxEmoji - 1],
    );
    const outcomes = await Promise.all([
      addReaction(ada, id, '👍'),
      addReaction(onNode(otherNode, grace), id, '👎'),
      insertReaction(id, grace, '👏').then(
        () => ({ __typename: 'Message' }),
        () => ({ __typename: 'InvalidInput' }),
      ),
    ]);
    const taken = outcomes.filter(({ __typename }) => __typename === 'Message');
    expect(taken).toHaveLength(1);
    expect(Object.keys((await stored(id)).counts)).toHaveLength(maxEmoji);
  }
});

test('only members can react, and a user who can’t see the message can’t tell that it exists', async () => {
  const channel = await createPublicChannel(ada);
  const shown = await say(ada, channel, 'to all');
  expect(await addReaction(linus, shown, '👍')).toMatchObject({ __typename: 'Forbidden', code: 'FORBIDDEN' });
  await addMembers(server, channel, [linus]);
  expect(await addReaction(linus, shown, '👍')).toMatchObject({ __typename: 'Message' });
  await removeMember(server, channel, linus);
  expect(await addReaction(linus, shown, '👎')).toMatchObject({ __typename: 'Forbidden' });
  expect(await reactionsSeen(linus, shown)).toEqual(['👍 1 mine']);
  expect(show((await removeReaction(linus, shown, '👍')).reactions)).toEqual([]);

  const hidden = await say(ada, chatId, 'among us');
  expect(await addReaction(grace, hidden, '👍')).toMatchObject({ __typename: 'Message' });
  const missing = encodeId('Message', 2n ** 62n);
  for (const change of [addReaction, removeReaction]) {
    const outcome = await change(linus, hidden, '👍');
    expect(outcome).toMatchObject({ __typename: 'NotFound', code: 'NOT_FOUND' });
    expect(outcome).toEqual(await change(linus, missing, '👍'));
  }
  expect(await reactionsSeen(ada, hidden)).toEqual(['👍 1']);
});

test('reacting requires a signed-in user', async () => {
  const id = await say(ada, chatId, 'signed');
  for (const name of ['addReaction', 'removeReaction']) {
    const { errors } = await server.post(
      `mutation ($id: ID!) { ${name}(messageId: $id, emoji: "👍") { __typename } }`,
      { id },
    );
    expect(errors).toMatchObject([{ extensions: { code: 'UNAUTHENTICATED' } }]);
  }
  expect(await stored(id)).toEqual({ rows: [], counts: {} });
});

test('a deleted message accepts no reactions, even when both happen at the same time', async () => {
  const id = await say(ada, chatId, 'gone');
  await addReaction(grace, id, '👍');
  await deleteMessage(ada, id);
  expect(await addReaction(grace, id, '👎')).toMatchObject({ __typename: 'NotFound' });
  expect(await removeReaction(grace, id, '👍')).toMatchObject({ __typename: 'Message', reactions: [] });
  for (const round of upTo(5)) {
    const going = await say(ada, chatId, `round ${round}`);
    const [reacted] = await Promise.all([
      addReaction(grace, going, '👍'),
      deleteMessage(onNode(otherNode, ada), going),
    ]);
    expect(['Message', 'NotFound']).toContain(reacted.__typename);
    expect(await stored(going)).toEqual({ rows: [], counts: {} });
  }
});

test('when one request adds several reactions, each result includes the earlier ones', async () => {
  const id = await say(ada, chatId, 'many at once');
  const field = (name: string, emoji: string) =>
    `${name}(messageId: $id, emoji: "${emoji}") { ... on Message { reactions { emoji count } } }`;
  const outcomes = await ada.ask(
    `mutation ($id: ID!) {
      a: ${field('addReaction', '👍')} b: ${field('addReaction', '👎')} c: ${field('removeReaction', '👍')}
    }`,
    { id },
  );
  const counts = Object.values(outcomes).map((outcome: Data) => outcome.reactions.map(({ emoji }: Data) => emoji));
  expect(counts).toEqual([['👍'], ['👍', '👎'], ['👎']]);
});

test('fifty users who react at the same time, on two nodes, are counted as fifty', async () => {
  const channel = await createPublicChannel(ada);
  const people = await Promise.all(upTo(50).map((number) => signUp(server, `person${number}`)));
  await addMembers(server, channel, people);
  const id = await say(ada, channel, 'all together');
  const reacted = await Promise.all(
    people.map((person, index) => addReaction(index % 2 === 0 ? person : onNode(otherNode, person), id, '👍')),
  );
  expect(new Set(reacted.map(({ __typename }) => __typename))).toEqual(new Set(['Message']));
  expect(await reactionsSeen(ada, id)).toEqual(['👍 50']);
  await Promise.all(people.map((person) => removeReaction(person, id, '👍')));
  expect(await reactionsSeen(ada, id)).toEqual([]);
});

test('events, rows and counts agree, whatever happens concurrently and wherever it comes from', async () => {
  const people = [ada, grace, onNode(otherNode, ada), onNode(otherNode, grace)];
  const operation = fc.record({
    kind: fc.constantFrom('add', 'add', 'remove', 'insert', 'delete'),
    who: fc.integer({ min: 0, max: 3 }),
    emoji: fc.constantFrom('👍', '👎', '🎉'),
    isAwaited: fc.boolean(),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(operation, { minLength: 5, maxLength: 25 }), async (operations) => {
      const id = await say(ada, chatId, 'watch closely');
      const running: Promise<unknown>[] = [];
      for (const { kind, who, emoji, isAwaited } of operations) {
        const person = people[who] as Person;
        const change =
          kind === 'add'
            ? addReaction(person, id, emoji)
            : kind === 'remove'
              ? removeReaction(person, id, emoji)
              : kind === 'insert'
                ? insertReaction(id, person, emoji).catch(() => {})
                : server.sql.query(
                    `delete from reactions r using messages m
                    where (m.chat_id, m.seq) = (r.chat_id, r.seq) and m.id = $1 and r.user_id = $2 and r.emoji = $3`,
                    [keyOf(id), keyOf(person.userId), emoji],
                  );
        running.push(change);
        if (isAwaited) await Promise.all(running);
      }
      await Promise.all(running);
      const { rows, counts } = await stored(id);
      const { rows: events } = await server.sql.query(
        `select actor_id || ' ' || (detail ->> 'emoji') as reaction, (detail ->> 'added')::bool as added
        from events where kind = 'ReactionsChanged' and message_id = $1 order by id`,
        [keyOf(id)],
      );
      const told = new Set<string>();
      for (const { reaction, added } of events) {
        expect(told.has(reaction)).toBe(!added);
        if (added) told.add(reaction);
        else told.delete(reaction);
      }
      expect([...told].toSorted()).toEqual(rows.toSorted());
      const counted = Object.fromEntries(
        Object.entries(Object.groupBy(rows, (row) => row.split(' ')[1] ?? '')).map(([emoji, all]) => [
          emoji,
          all?.length,
        ]),
      );
      expect(counts).toEqual(counted);
    }),
    { numRuns: rounds(6, 15) },
  );
});

test('a reaction that psql inserts is delivered and counted like any other', async () => {
  const id = await say(ada, chatId, 'by hand');
  await using graces = await follow(grace);
  await insertReaction(id, ada, '🖐🏽');
  const event = { __typename: 'ReactionsChanged', emoji: '🖐🏽', count: 1, userId: ada.userId, added: true };
  expect(await heardBy(grace, graces)).toMatchObject([event]);
  expect(await reactionsSeen(ada, id)).toEqual(['🖐🏽 1 mine']);
  for (const set of [`emoji = '👍'`, 'seq = seq + 1', 'chat_id = chat_id + 1']) {
    await expect(server.sql.query(`update reactions set ${set} where emoji = '🖐🏽'`)).rejects.toThrow(
      'delete the row and insert another',
    );
  }
  await server.sql.query(`delete from reactions where emoji = '🖐🏽'`);
  expect(await heardBy(grace, graces)).toMatchObject([{ ...event, count: 0, added: false }]);
  for (const table of ['reactions', 'reaction_counts']) {
    await expect(server.sql.query(`truncate ${table}`)).rejects.toMatchObject({ code: '0A000' });
  }
});

test('a user’s reactions are deleted with the user, and the chat receives the change', async () => {
  const passing = await signUp(server, 'passing');
  const group = await createGroup(ada, [grace, passing]);
  const id = await say(ada, group, 'stay');
  await addReaction(ada, id, '👋');
  await addReaction(passing, id, '👋');
  await addReaction(passing, id, '🚪');
  await using graces = await follow(grace);
  await server.sql.query('delete from users where id = $1', [keyOf(passing.userId)]);
  expect(await reactionsSeen(ada, id)).toEqual(['👋 1 mine']);
  const told = (await heardBy(grace, graces)).filter(({ __typename }) => __typename === 'ReactionsChanged');
  const event = { __typename: 'ReactionsChanged', userId: passing.userId, added: false };
  expect(told).toHaveLength(2);
  expect(told).toEqual(
    expect.arrayContaining([
      expect.objectContaining({ ...event, emoji: '👋', count: 1 }),
      expect.objectContaining({ ...event, emoji: '🚪', count: 0 }),
    ]),
  );
});

test('a newcomer does not receive a reaction to a message from before they joined, live or when catching up', async () => {
  const group = await createGroup(ada, [grace]);
  const old = await say(ada, group, 'before');
  await addMembers(server, group, [alan], 2);
  const recent = await say(ada, group, 'after');
  await using graces = await follow(grace);
  await using alans = await follow(alan);
  await using ofChat = await followChat(server, alan, group);
  const { cursor } = alans;
  await addReaction(ada, old, '👍');
  await removeReaction(ada, old, '👍');
  await addReaction(ada, recent, '👍');
  const change = (seq: number) => ({ __typename: 'ReactionsChanged', message: { seq } });
  expect(await heardBy(grace, graces)).toMatchObject([change(1), change(1), change(2)]);
  expect(await heardBy(alan, alans)).toMatchObject([change(2)]);
  await say(ada, group, 'the end');
  const heard = (await ofChat.until('NewMessage')).map((frame) => eventOf(frame).__typename);
  expect(heard).toEqual(['ReactionsChanged', 'NewMessage']);
  const missed = await readMissed(server, alan, cursor, { document: messageEventsDocument });
  expect(missed.map(eventOf).filter(({ __typename }) => __typename === 'ReactionsChanged')).toMatchObject([change(2)]);
  expect(await addReaction(alan, old, '👍')).toMatchObject({ __typename: 'NotFound' });
});

test('a reaction to a message that psql has locked waits, and delays no one else', async () => {
  const id = await say(ada, chatId, 'held');
  const client = await server.sql.connect();
  await client.query('begin');
  await client.query(`update messages set content = 'in hand' where id = $1`, [keyOf(id)]);
  const reacting = addReaction(ada, id, '👍');
  let isDone = false;
  reacting.then(
    () => (isDone = true),
    () => {},
  );
  const other = await say(grace, chatId, 'in the meantime');
  expect(await addReaction(ada, other, '👍')).toMatchObject({ __typename: 'Message' });
  expect(isDone).toBe(false);
  await client.query('rollback');
  client.release();
  expect(await reacting).toMatchObject({ __typename: 'Message', content: 'held', reactions: [{ emoji: '👍' }] });
});

test('a page of messages with reactions costs the same for one and for fifty', async () => {
  const group = await createGroup(ada, [grace]);
  await server.sql.query(
    `insert into messages (chat_id, sender_id, content) select $1, $2, 'message ' || n from generate_series(1, 50) n`,
    [keyOf(group), keyOf(ada.userId)],
  );
  await server.sql.query(
    `insert into reactions (chat_id, seq, user_id, emoji)
    select chat_id, seq, member, chr(128000 + n)
    from messages, generate_series(1, 3) n, unnest($2::bigint[]) member where chat_id = $1`,
    [keyOf(group), [keyOf(ada.userId), keyOf(grace.userId)]],
  );
  const document = `query ($id: ID!, $last: Int!) {
    chat(id: $id) { messages(last: $last) { edges { node { reactions { emoji count viewerReacted } } } } }
  }`;
  const { chat } = await ada.ask(document, { id: group, last: 50 });
  expect(chat.messages.edges.at(0).node.reactions).toHaveLength(3);
  const cost = (last: number) => recordStatements(server, () => ada.ask(document, { id: group, last }));
  const one = await cost(1);
  expect(await cost(50)).toEqual(one);
  expect(new Set(one).size).toBe(one.length);
});
