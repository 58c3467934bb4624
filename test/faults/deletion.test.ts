import { expect, test } from 'vitest';
import { uploadPicture } from '../support/avatar.ts';
import { createGroup, createPublicChannel, keyOf, say } from '../support/chat.ts';
import { signUp, type Answer, type Person, type Variables } from '../support/client.ts';
import { postFiles, postGraphqlForm } from '../support/file.ts';
import { sharedServer } from '../support/shared-server.ts';

const server = await sharedServer();
const ada = await signUp(server, 'ada');
let people = 0;

/** Creates a new user Grace in one of Ada's groups, a message from Grace there, and a channel that Grace could join. */
async function setScene() {
  const grace = await signUp(server, `grace${(people += 1)}`);
  const group = await createGroup(ada, [grace]);
  return { grace, group, channel: await createPublicChannel(ada), message: await say(grace, group, 'hello') };
}

type Scene = Awaited<ReturnType<typeof setScene>>;
type Outcome = { code: unknown; errors: Answer['errors'] };
/** `faults`: the server errors in the log. */
type Race = Outcome & { faults: unknown[] };

/** Runs the mutation, whose variables are ids, under the alias `outcome`. */
async function mutate(by: Person, mutation: string, ids: Variables = {}): Promise<Outcome> {
  const parameters = Object.keys(ids).map((name) => `$${name}: ID!`);
  const list = parameters.length === 0 ? '' : `(${parameters.join(', ')})`;
  const { data, errors } = await by.post(
    `mutation ${list} { outcome: ${mutation} { __typename ... on Error { code } } }`,
    ids,
  );
  return { code: data?.outcome.code, errors };
}

/** Deletes the row in a transaction that commits only once the concurrent request is waiting for it. */
async function whileDeleting(
  table: 'users' | 'chats' | 'files',
  id: string,
  ask: () => Promise<Outcome>,
): Promise<Race> {
  const logged = server.log.length;
  const client = await server.sql.connect();
  try {
    await client.query('begin');
    await client.query(`delete from ${table} where id = $1`, [keyOf(id)]);
    const asked = ask();
    const countWaiting = async () => {
      const { rowCount } = await server.sql.query(
        `select from pg_stat_activity
        where datname = current_database() and application_name = 'parley' and wait_event_type = 'Lock'`,
      );
      return rowCount;
    };
    await expect.poll(countWaiting).toBe(1);
    await client.query('commit');
    const outcome = await asked;
    return { ...outcome, faults: server.log.slice(logged).filter(({ msg }) => msg === 'an operation failed') };
  } finally {
    await client.query('rollback');
    client.release();
  }
}

test.each<[string, (scene: Scene) => Promise<Outcome>]>([
  [
    'makes a group',
    ({ grace }) => mutate(grace, 'createChat(input: { type: GROUP, memberIds: [$ada] })', { ada: ada.userId }),
  ],
  ['makes a channel', ({ grace }) => mutate(grace, 'createChat(input: { type: PUBLIC_CHANNEL, name: "mine" })')],
  [
    'opens a single chat',
    ({ grace }) => mutate(grace, 'createChat(input: { type: SINGLE, memberIds: [$ada] })', { ada: ada.userId }),
  ],
  ['joins a channel', ({ grace, channel }) => mutate(grace, 'joinChat(chatId: $channel)', { channel })],
  ['blocks a user', ({ grace }) => mutate(grace, 'blockUser(userId: $ada)', { ada: ada.userId })],
  [
    'sends a message',
    ({ grace, group }) => mutate(grace, 'sendMessage(input: { chatId: $group, content: "bye" })', { group }),
  ],
  ['reacts', ({ grace, message }) => mutate(grace, 'addReaction(messageId: $message, emoji: "👋")', { message })],
  ['pins a message', ({ grace, message }) => mutate(grace, 'pinMessage(messageId: $message)', { message })],
  [
    'sets a notification level',
    ({ grace, group }) => mutate(grace, 'setNotificationLevel(chatId: $group, level: NONE)', { group }),
  ],
  ['has read', ({ grace, group }) => mutate(grace, 'markRead(chatId: $group, seq: 0, rewind: true)', { group })],
])('a user who %s while their account is deleted gets an error, and leaves nothing behind', async (_, ask) => {
  const scene = await setScene();
  const race = await whileDeleting('users', scene.grace.userId, () => ask(scene));
  expect(race).toEqual({ code: 'NOT_FOUND', errors: undefined, faults: [] });
  // Other test files use this server too, so the query counts only chats that were created after the test data was set
  // up.
  const empty = 'select from chats where member_count = 0 and id > $1';
  expect(await server.sql.query(empty, [keyOf(scene.channel)])).toMatchObject({ rowCount: 0 });
});

test('a user who uploads a file while their account is deleted gets an error', async () => {
  const { grace } = await setScene();
  const race = await whileDeleting('users', grace.userId, async () => {
    const { body } = await postGraphqlForm(server, grace);
    return { code: undefined, errors: body.errors };
  });
  expect(race).toMatchObject({ errors: [{ extensions: { code: 'NOT_FOUND' } }], faults: [] });
});

test('a user who posts a file while their account is deleted gets an error', async () => {
  const { grace } = await setScene();
  const race = await whileDeleting('users', grace.userId, async () => {
    const { status } = await postFiles(server, grace, [{ name: 'last.txt', content: 'the last' }]);
    return { code: String(status), errors: undefined };
  });
  expect(race).toEqual({ code: '404', errors: undefined, faults: [] });
});

test.each<[string, (scene: Scene) => Promise<Outcome>]>([
  ['blocked', ({ grace }) => mutate(ada, 'blockUser(userId: $grace)', { grace: grace.userId })],
  [
    'given a role',
    ({ grace, group }) =>
      mutate(ada, 'setMemberRole(chatId: $group, userId: $grace, role: ADMIN)', { group, grace: grace.userId }),
  ],
])('a user who is %s while their account is deleted is not found', async (_, ask) => {
  const scene = await setScene();
  const race = await whileDeleting('users', scene.grace.userId, () => ask(scene));
  expect(race).toEqual({ code: 'NOT_FOUND', errors: undefined, faults: [] });
});

test.each<[string, (scene: Scene) => Promise<Outcome>]>([
  [
    'added to a chat',
    ({ grace, channel }) =>
      mutate(ada, 'addMembers(chatId: $channel, userIds: [$grace])', { channel, grace: grace.userId }),
  ],
  [
    'put into a new one',
    ({ grace }) => mutate(ada, 'createChat(input: { type: GROUP, memberIds: [$grace] })', { grace: grace.userId }),
  ],
])('a user who is %s while their account is deleted does not exist', async (_, ask) => {
  const scene = await setScene();
  const race = await whileDeleting('users', scene.grace.userId, () => ask(scene));
  expect(race).toEqual({ code: 'INVALID_INPUT', errors: undefined, faults: [] });
});

test.each<[string, (scene: Scene) => Promise<Outcome>]>([
  [
    'a message',
    ({ grace, group }) => mutate(grace, 'sendMessage(input: { chatId: $group, content: "hello?" })', { group }),
  ],
  [
    'a reply',
    ({ grace, group, message }) =>
      mutate(grace, 'sendMessage(input: { chatId: $group, content: "oh", replyToId: $message })', { group, message }),
  ],
  ['an edit', ({ grace, message }) => mutate(grace, 'editMessage(messageId: $message, content: "@ada")', { message })],
  ['a reaction', ({ grace, message }) => mutate(grace, 'addReaction(messageId: $message, emoji: "👋")', { message })],
  ['a pin', ({ grace, message }) => mutate(grace, 'pinMessage(messageId: $message)', { message })],
  ['a read marker', ({ grace, group }) => mutate(grace, 'markRead(chatId: $group, seq: 0, rewind: true)', { group })],
  [
    'a member',
    ({ grace, group }) => mutate(grace, 'addMembers(chatId: $group, userIds: [$ada])', { group, ada: ada.userId }),
  ],
])('%s for a chat that is being deleted waits for the deletion, and then does not find the chat', async (_, ask) => {
  const scene = await setScene();
  const race = await whileDeleting('chats', scene.group, () => ask(scene));
  expect(race).toEqual({ code: 'NOT_FOUND', errors: undefined, faults: [] });
});

test('a file that is being deleted cannot become an avatar', async () => {
  const { group } = await setScene();
  for (const chat of [null, group]) {
    const file = await uploadPicture(server, ada);
    const race = await whileDeleting('files', file, () =>
      chat === null
        ? mutate(ada, 'setAvatar(fileId: $file)', { file })
        : mutate(ada, 'setAvatar(fileId: $file, chatId: $chat)', { file, chat }),
    );
    expect(race).toEqual({ code: 'INVALID_INPUT', errors: undefined, faults: [] });
  }
});

test('a user who reports an inactive device while their account is deleted causes no server error', async () => {
  const { grace } = await setScene();
  const race = await whileDeleting('users', grace.userId, () => mutate(grace, 'setPresence(status: AWAY)'));
  expect(race).toMatchObject({ errors: undefined, faults: [] });
});
