import fc from 'fast-check';
import { beforeAll, expect, test } from 'vitest';
import { addMembers, createGroup, createPublicChannel, keyOf, removeMember, say } from '../support/chat.ts';
import { signUp, type Data, type Person } from '../support/client.ts';
import { rounds } from '../support/rounds.ts';
import { startServer, type TestServer } from '../support/server.ts';
import { eventOf, followEvents } from '../support/stream.ts';

let server: TestServer;
let people: Person[];
beforeAll(async () => {
  server = await startServer();
  people = await Promise.all(['ada', 'grace', 'linus'].map((name) => signUp(server, name)));
});

type Operation =
  | { does: 'say'; by: number; in: number; content: string }
  | { does: 'mark'; by: number; in: number; at: number; rewind: boolean }
  | { does: 'delete'; in: number; at: number }
  | { does: 'level'; by: number; in: number; level: string }
  | { does: 'leave' | 'rejoin'; by: number; in: number };

const by = fc.nat({ max: 2 });
/** The members who may leave. Ada owns the chats, so she stays. */
const guest = fc.integer({ min: 1, max: 2 });
const chat = fc.nat({ max: 1 });
const content = fc.constantFrom('hello', 'hello @grace', '@linus and @ada', '@everyone');
/** A position in a chat, from the beginning (0) to the end (1). */
const at = fc.nat({ max: 10 }).map((tenths) => tenths / 10);
const operation: fc.Arbitrary<Operation> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ does: fc.constant('say'), by, in: chat, content }) },
  { weight: 4, arbitrary: fc.record({ does: fc.constant('mark'), by, in: chat, at, rewind: fc.boolean() }) },
  { weight: 2, arbitrary: fc.record({ does: fc.constant('delete'), in: chat, at }) },
  {
    weight: 1,
    arbitrary: fc.record({
      does: fc.constant('level'),
      by,
      in: chat,
      level: fc.constantFrom('ALL', 'MENTIONS', 'NONE'),
    }),
  },
  { weight: 3, arbitrary: fc.record({ does: fc.constantFrom('leave', 'rejoin', 'rejoin'), by: guest, in: chat }) },
);

async function perform(done: Operation, chats: string[]): Promise<void> {
  const chatId = chats[done.in] as string;
  const person = 'by' in done ? (people[done.by] as Person) : null;
  const placeOf = async (share: number) => {
    const { rows } = await server.sql.query('select last_seq from chats where id = $1', [keyOf(chatId)]);
    return Math.round(share * rows[0].last_seq);
  };
  switch (done.does) {
    case 'say':
      // If the user has left the chat, the server refuses this, and no message is added.
      await person?.post(
        'mutation ($id: ID!, $content: String!) { sendMessage(input: { chatId: $id, content: $content }) { __typename } }',
        { id: chatId, content: done.content },
      );
      break;
    case 'mark':
      await person?.post(
        'mutation ($id: ID!, $seq: Int!, $rewind: Boolean) { markRead(chatId: $id, seq: $seq, rewind: $rewind) { __typename } }',
        {
          id: chatId,
          seq: await placeOf(done.at),
          rewind: done.rewind,
        },
      );
      break;
    case 'delete':
      await server.sql.query('delete from messages where chat_id = $1 and seq = $2', [
        keyOf(chatId),
        await placeOf(done.at),
      ]);
      break;
    case 'level':
      await person?.post(
        'mutation ($id: ID!, $level: NotificationLevel!) { setNotificationLevel(chatId: $id, level: $level) { __typename } }',
        {
          id: chatId,
          level: done.level,
        },
      );
      break;
    case 'leave':
      await removeMember(server, chatId, person as Person);
      break;
    case 'rejoin':
      await removeMember(server, chatId, person as Person);
      await server.sql.query(
        `insert into members (chat_id, user_id, visible_from_seq)
        select id, $2, last_seq + 1 from chats where id = $1`,
        [keyOf(chatId), keyOf((person as Person).userId)],
      );
  }
}

/**
 * Returns the server's counts for a user, and the counts that the test computes from the messages that this user can
 * see.
 */
async function countFor(person: Person, chats: string[]): Promise<{ told: Data; counted: Data }> {
  const { viewer } = await person.ask(`{
    viewer {
      unreadChatCount
      chats(first: 2) { edges { node {
        id
        viewerMembership { lastReadSeq unreadCount unreadMentionCount notificationLevel }
        messages(last: 50) { edges { node { seq deletedAt sender { id } mentions { isEveryone user { id } } } } }
      } } }
    }
  }`);
  const shown = viewer.chats.edges.map(({ node }: Data) => node).filter((node: Data) => chats.includes(node.id));
  const byHand = shown.map(({ viewerMembership, messages }: Data) => {
    const unread = messages.edges
      .map(({ node }: Data) => node)
      .filter(({ seq, deletedAt, sender }: Data) => {
        return seq > viewerMembership.lastReadSeq && deletedAt === null && sender.id !== person.userId;
      });
    const mentioning = unread.filter(({ mentions }: Data) =>
      mentions.some(({ isEveryone, user }: Data) => isEveryone || user.id === person.userId),
    );
    return { unreadCount: unread.length, unreadMentionCount: mentioning.length };
  });
  const isTold = ({ viewerMembership: { notificationLevel } }: Data, index: number) =>
    (notificationLevel === 'ALL' && byHand[index].unreadCount > 0) ||
    (notificationLevel === 'MENTIONS' && byHand[index].unreadMentionCount > 0);
  return {
    told: {
      chats: viewer.unreadChatCount,
      messages: shown.map(({ viewerMembership: { unreadCount, unreadMentionCount } }: Data) => ({
        unreadCount,
        unreadMentionCount,
      })),
    },
    counted: { chats: shown.filter(isTold).length, messages: byHand },
  };
}

test('whatever happens, the unread count equals a manual count', { timeout: 60_000 }, async () => {
  const [ada, ...others] = people as [Person, ...Person[]];
  await fc.assert(
    fc.asyncProperty(fc.array(operation, { maxLength: 25, size: 'max' }), async (operations) => {
      await server.sql.query('delete from chats');
      const chats = [await createGroup(ada, others), await createPublicChannel(ada)];
      await addMembers(server, chats[1] as string, others);
      for (const each of operations) await perform(each, chats);
      for (const person of people) {
        const { told, counted } = await countFor(person, chats);
        expect(told).toEqual(counted);
      }
    }),
    { numRuns: rounds(8, 30) },
  );
});

test('at most a thousand unread messages are counted', async () => {
  const [ada, grace] = people as [Person, Person, Person];
  const id = await createGroup(ada, [grace]);
  const unread = async () =>
    (await grace.ask('query ($id: ID!) { chat(id: $id) { viewerMembership { unreadCount } } }', { id })).chat
      .viewerMembership.unreadCount;
  const insert = (count: number) =>
    server.sql.query(
      `insert into messages (chat_id, sender_id, content) select $1, $2, 'hello' from generate_series(1, $3)`,
      [keyOf(id), keyOf(ada.userId), count],
    );
  await insert(999);
  expect(await unread()).toBe(999);
  await insert(5);
  expect(await unread()).toBe(1_000);
});

test('a chat counts as unread according to its member’s settings', async () => {
  const [ada, , linus] = people as [Person, Person, Person];
  const setLevel = async (person: Person, chatId: string, level: string) =>
    (
      await person.ask(
        `mutation ($chatId: ID!, $level: NotificationLevel!) {
          setNotificationLevel(chatId: $chatId, level: $level) {
            __typename
            ... on Member { notificationLevel unreadCount }
          }
        }`,
        { chatId, level },
      )
    ).setNotificationLevel;
  const badge = async () => (await linus.ask('{ viewer { unreadChatCount } }')).viewer.unreadChatCount;
  const [one, two] = await Promise.all([createGroup(ada, [linus]), createGroup(ada, [linus])]);
  const before = await badge();
  await Promise.all([say(ada, one, 'hello'), say(ada, two, 'hello'), say(ada, two, 'hello again')]);
  expect(await badge()).toBe(before + 2);
  expect(await setLevel(linus, one, 'NONE')).toEqual({
    __typename: 'Member',
    notificationLevel: 'NONE',
    unreadCount: 1,
  });
  expect(await badge()).toBe(before + 1);
  expect(await setLevel(linus, one, 'ALL')).toMatchObject({ notificationLevel: 'ALL' });
  expect(await badge()).toBe(before + 2);
  await linus.ask('mutation ($id: ID!) { markRead(chatId: $id, seq: 1) { __typename } }', { id: one });
  expect(await badge()).toBe(before + 1);

  await using phone = await followEvents(server, linus, {
    document: `subscription { events { event {
      __typename
      ... on NotificationLevelChanged { member { chat { id } notificationLevel } }
    } } }`,
  });
  await setLevel(linus, two, 'NONE');
  expect(eventOf(await phone.next())).toEqual({
    __typename: 'NotificationLevelChanged',
    member: { chat: { id: two }, notificationLevel: 'NONE' },
  });
  // Nothing changes, so no event is sent.
  await setLevel(linus, two, 'NONE');
  await setLevel(linus, two, 'ALL');
  expect(eventOf(await phone.next())).toMatchObject({ member: { notificationLevel: 'ALL' } });
  const seenByAda = await ada.ask(
    'query ($id: ID!) { chat(id: $id) { members { edges { node { user { username } notificationLevel } } } } }',
    { id: two },
  );
  expect(seenByAda.chat.members.edges.map(({ node }: Data) => node.notificationLevel).toSorted()).toEqual([
    'ALL',
    null,
  ]);

  // At the level MENTIONS, only mentions count.
  await setLevel(linus, two, 'MENTIONS');
  expect(await badge()).toBe(before);
  await say(ada, two, 'and @linus?');
  expect(await badge()).toBe(before + 1);
  await setLevel(linus, two, 'NONE');
  expect(await badge()).toBe(before);

  const stranger = (people as [Person, Person, Person])[1];
  expect(await setLevel(stranger, one, 'NONE')).toEqual({ __typename: 'NotFound' });
});
