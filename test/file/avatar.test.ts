import { join } from 'node:path';
import { beforeAll, expect, test, vi } from 'vitest';
import { connectDatabase, disconnectDatabase, type Db } from '../../src/postgres/client.ts';
import { continueDeletions } from '../../src/account/account-deletion.ts';
import { sweepLoose, sweepUnattached } from '../../src/file/file-sweep.ts';
import { LocalStore } from '../../src/file/store/local.ts';
import { encodeId } from '../../src/core/id.ts';
import { avatarOf, paint, setAvatar, uploadPicture } from '../support/avatar.ts';
import {
  createChat,
  createGroup,
  createPublicChannel,
  heardBy,
  keyOf,
  removeMember,
  say,
  sendMessage,
} from '../support/chat.ts';
import { type Data, type Person, ask, signUp, signUpAll } from '../support/client.ts';
import { countStored, download, readFileNode, upload } from '../support/file.ts';
import { deleteChat, setMemberRole, updateChat } from '../support/membership.ts';
import { startServer, type TestServer } from '../support/server.ts';
import { sharedNode, sharedServer } from '../support/shared-server.ts';
import { recordStatements } from '../support/statements.ts';
import { followEvents } from '../support/stream.ts';
import { atFileEnd } from '../support/file-end.ts';

let server: TestServer;
let otherNode: TestServer;
let ada: Person;
let grace: Person;
let linus: Person;
let db: Db;
beforeAll(async () => {
  server = await sharedServer();
  otherNode = await sharedNode(server);
  [ada, grace, linus] = await signUpAll(server, 'ada', 'grace', 'linus');
  db = connectDatabase({ url: server.database.url, maxConnections: 2, statementTimeoutMs: 10_000, onError: () => {} });
});
atFileEnd(() => disconnectDatabase(db));

const onOtherNode = (person: Person): Person => ({
  ...person,
  ask: (document, variables) => ask(otherNode.url, document, variables, person.token),
});
const sweep = async () => {
  const sweeping = { db, store: new LocalStore(join(server.dataDir, 'files')) };
  await sweepUnattached(sweeping, 100);
  // Deleting the picture also deletes its thumbnails, whose bytes the next round checks.
  while ((await sweepLoose(sweeping, 100)) > 0);
};
const statusOf = async (url: string) => (await download(server, url)).status;
const storedCount = async () => (await countStored(server)).kept;

const document = `subscription ($after: String) { events(after: $after) { cursor event {
  __typename
  ... on NewChat { chat { name } }
  ... on UserUpdated { user { username avatar { id url } } }
  ... on ChatUpdated { chat { id avatar { id url } } }
} } }`;

test('any signed-in user can see another user’s avatar, and no one else can', async () => {
  const fileId = await uploadPicture(server, ada);
  expect(await statusOf((await readFileNode(ada, fileId)).url)).toBe(200);
  expect(await readFileNode(grace, fileId)).toBeNull();
  const picture = { id: fileId, width: 40, height: 40, blurhash: expect.stringMatching(/^\S{28}$/) };
  expect(await setAvatar(ada, fileId)).toMatchObject({ __typename: 'User', id: ada.userId, avatar: picture });
  const seen = await avatarOf(ada.userId, linus);
  expect(seen).toMatchObject(picture);
  for (const url of [seen.url, seen.small, seen.large]) expect(await statusOf(url)).toBe(200);
  expect(await readFileNode(linus, fileId)).not.toBeNull();
  expect(await avatarOf(grace.userId, linus)).toBeNull();
  expect((await server.ask('query ($id: ID!) { node(id: $id) { id } }', { id: fileId })).node).toBeNull();
});

test('an avatar that is replaced or removed is gone, with its links and its bytes', async () => {
  await sweep();
  const before = await storedCount();
  const first = await uploadPicture(server, grace);
  const { avatar } = await setAvatar(grace, first);
  const seen = await avatarOf(grace.userId, linus);
  const second = await uploadPicture(server, grace);
  expect(await setAvatar(grace, second)).toMatchObject({ avatar: { id: second } });
  for (const url of [avatar.url, seen.url, seen.small]) expect(await statusOf(url)).toBe(404);
  expect(await readFileNode(grace, first)).toBeNull();
  const later = await avatarOf(grace.userId, linus);
  expect(await statusOf(later.url)).toBe(200);
  expect(await setAvatar(grace, null)).toMatchObject({ __typename: 'User', avatar: null });
  expect(await statusOf(later.url)).toBe(404);
  await sweep();
  expect(await storedCount()).toBe(before);
});

test('everyone who shares a chat with a user receives each change of their avatar once, whichever client writes it', async () => {
  const chatId = await createGroup(ada, [grace]);
  await using stream = await followEvents(otherNode, grace, { document });
  await using stranger = await followEvents(server, linus, { document });
  const [first, second] = [await uploadPicture(server, ada), await uploadPicture(server, ada)];
  await setAvatar(ada, first);
  await setAvatar(ada, first);
  await setAvatar(ada, second);
  const [one, two, ...rest] = await heardBy(grace, stream);
  // The first avatar may be gone by the time its event is delivered, because an event shows the state at delivery.
  expect(one).toMatchObject({ __typename: 'UserUpdated', user: { username: 'ada' } });
  expect(two).toMatchObject({ __typename: 'UserUpdated', user: { username: 'ada', avatar: { id: second } } });
  expect(await statusOf(two.user.avatar.url)).toBe(200);
  expect(rest).toEqual([]);
  const third = await uploadPicture(server, ada);
  await server.sql.query('update users set avatar_file_id = $2 where id = $1', [keyOf(ada.userId), keyOf(third)]);
  const fourth = await uploadPicture(server, grace);
  await server.sql.query('update chats set avatar_file_id = $2 where id = $1', [keyOf(chatId), keyOf(fourth)]);
  expect(await heardBy(grace, stream)).toMatchObject([
    { __typename: 'UserUpdated', user: { avatar: { id: third } } },
    { __typename: 'ChatUpdated', chat: { id: chatId, avatar: { id: fourth } } },
  ]);
  await server.sql.query('delete from files where id = any ($1)', [[third, fourth].map(keyOf)]);
  expect((await heardBy(grace, stream)).map(({ user, chat }: Data) => (user ?? chat).avatar)).toEqual([null, null]);
  expect(await heardBy(linus, stranger)).toEqual([]);
});

test('users who see a chat see its avatar, and their link to it stops working when they lose access to the chat', async () => {
  const chatId = await createGroup(ada, [grace]);
  const fileId = await uploadPicture(server, ada);
  await using stream = await followEvents(otherNode, grace, { document });
  expect(await setAvatar(ada, fileId, chatId)).toMatchObject({ __typename: 'Chat', avatar: { id: fileId, width: 40 } });
  expect(await heardBy(grace, stream)).toMatchObject([{ __typename: 'ChatUpdated', chat: { avatar: { id: fileId } } }]);
  const seen = await avatarOf(chatId, grace);
  expect(await statusOf(seen.url)).toBe(200);
  expect(await statusOf(seen.small)).toBe(200);
  expect(await avatarOf(chatId, linus)).toBeUndefined();
  expect(await readFileNode(linus, fileId)).toBeNull();
  await removeMember(server, chatId, grace);
  expect(await statusOf(seen.url)).toBe(404);
  expect(await statusOf(seen.small)).toBe(404);
  expect(await readFileNode(grace, fileId)).toBeNull();

  const channel = await createPublicChannel(ada);
  await setAvatar(ada, await uploadPicture(server, ada), channel);
  const read = await avatarOf(channel, linus);
  expect(await statusOf(read.url)).toBe(200);
  await updateChat(ada, channel, { type: 'PRIVATE_CHANNEL' });
  expect(await statusOf(read.url)).toBe(404);
});

test('the avatar of a deleted chat is deleted with it', async () => {
  await sweep();
  const before = await storedCount();
  const chatId = await createGroup(ada, [grace]);
  const fileId = await uploadPicture(server, ada);
  await setAvatar(ada, fileId, chatId);
  const { url } = await avatarOf(chatId, grace);
  expect(await statusOf(url)).toBe(200);
  await deleteChat(ada, chatId);
  expect(await statusOf(url)).toBe(404);
  expect(await readFileNode(ada, fileId)).toBeNull();
  await sweep();
  expect(await storedCount()).toBe(before);
});

test('an erased account’s avatars are deleted: its own immediately, and soon after those that it uploaded for chats', async () => {
  const barbara = await signUp(server, 'barbara');
  const chatId = await createGroup(ada, [barbara]);
  await setMemberRole(ada, chatId, barbara.userId, 'ADMIN');
  await setAvatar(barbara, await uploadPicture(server, barbara));
  await setAvatar(barbara, await uploadPicture(server, barbara), chatId);
  await setAvatar(grace, await uploadPicture(server, grace));
  const [own, hers] = [await avatarOf(barbara.userId, grace), await avatarOf(grace.userId, barbara)];
  const ofChat = await avatarOf(chatId, ada);
  for (const { url } of [own, hers, ofChat]) expect(await statusOf(url)).toBe(200);
  await using stream = await followEvents(otherNode, ada, { document });
  const erasure = 'mutation ($password: String!) { deleteAccount(password: $password) { __typename } }';
  await barbara.ask(erasure, { password: barbara.password });
  // Once Barbara's account is gone, her links no longer work, not even those to other users' files.
  for (const { url } of [own, hers]) expect(await statusOf(url)).toBe(404);
  await vi.waitFor(
    async () => {
      await continueDeletions({ db }, 1_000);
      expect((await server.sql.query('select from users where username ~ $1', ['^erased_'])).rowCount).toBe(0);
    },
    { timeout: 10_000, interval: 20 },
  );
  expect(await statusOf(ofChat.url)).toBe(404);
  expect(await avatarOf(chatId, ada)).toBeNull();
  expect(await heardBy(ada, stream)).toContainEqual({ __typename: 'ChatUpdated', chat: { id: chatId, avatar: null } });
  await setAvatar(grace, null);
});

// Who may set an avatar, and which files are allowed ------------------------------------------------------------------

/** Expects this refusal, and expects that nothing has changed. */
async function expectRefusal(by: Person, fileId: string, chatId: string | undefined, message: string): Promise<void> {
  const target = chatId ?? by.userId;
  const before = await avatarOf(target, ada);
  const outcome = await setAvatar(by, fileId, chatId);
  expect(outcome).toMatchObject({ __typename: 'InvalidInput', fields: [{ path: ['fileId'], message }] });
  expect((await avatarOf(target, ada))?.id).toBe(before?.id);
}

test('an avatar, of a user or a chat, must be an unattached picture that the user uploaded', async () => {
  const chatId = await createGroup(ada, [grace]);
  const unfree = 'must be an upload of yours that is not in use yet';
  const taken = await uploadPicture(server, ada);
  await say(ada, chatId, 'look', { fileIds: [taken] });
  const mine = await uploadPicture(server, ada);
  await setAvatar(ada, mine);
  const ofChat = await uploadPicture(server, ada);
  const other = await createGroup(ada, [grace]);
  await setAvatar(ada, ofChat, other);
  const refused: [string, string][] = [
    [await uploadPicture(server, grace), unfree],
    [encodeId('File', 2n ** 62n), unfree],
    [taken, unfree],
    [(await upload(server, ada, 'no picture')).id, 'must be a picture'],
    [(await upload(server, ada, '<svg xmlns="http://www.w3.org/2000/svg"/>', 'a.svg')).id, 'must be a picture'],
    [chatId, 'is not the id of a File'],
    ['nonsense', 'is not the id of a File'],
  ];
  for (const [fileId, message] of refused) {
    await expectRefusal(ada, fileId, undefined, message);
    await expectRefusal(ada, fileId, chatId, message);
  }
  await expectRefusal(ada, ofChat, undefined, unfree);
  await expectRefusal(ada, ofChat, chatId, unfree);
  await expectRefusal(ada, mine, chatId, unfree);
  expect(await setAvatar(ada, await uploadPicture(server, ada), chatId)).toMatchObject({ __typename: 'Chat' });
});

test('a picture that is an avatar cannot be attached to a message', async () => {
  const chatId = await createGroup(ada, [grace]);
  const [mine, ofChat] = [await uploadPicture(server, ada), await uploadPicture(server, ada)];
  await setAvatar(ada, mine);
  await setAvatar(ada, ofChat, chatId);
  for (const fileId of [mine, ofChat]) {
    const outcome = await sendMessage(ada, chatId, 'look', { fileIds: [fileId] });
    expect(outcome).toMatchObject({ __typename: 'InvalidInput', fields: [{ path: ['fileIds', '0'] }] });
  }
  expect((await avatarOf(ada.userId, grace)).id).toBe(mine);
});

const roles = ['OWNER', 'ADMIN', 'MEMBER', 'nobody'];
test.each(['GROUP', 'PRIVATE_CHANNEL', 'PUBLIC_CHANNEL'].flatMap((type) => roles.map((role) => [type, role])))(
  'in a %s, for its avatar: %s',
  async (type, role) => {
    const { id: chatId } = await createChat(ada, { type, name: 'with a face', memberIds: [grace.userId] });
    await setAvatar(ada, await uploadPicture(server, ada), chatId);
    const { id: before } = await avatarOf(chatId, ada);
    if (role === 'nobody') await removeMember(server, chatId, grace);
    else await setMemberRole(ada, chatId, grace.userId, role ?? '');
    const fileId = await uploadPicture(server, grace);
    const may = role === 'OWNER' || role === 'ADMIN';
    const hidden = role === 'nobody' && type !== 'PUBLIC_CHANNEL';
    const refusal = { __typename: hidden ? 'NotFound' : 'Forbidden' };
    expect(await setAvatar(grace, fileId, chatId)).toMatchObject(may ? { avatar: { id: fileId } } : refusal);
    expect((await avatarOf(chatId, ada)).id).toBe(may ? fileId : before);
    expect(await setAvatar(grace, null, chatId)).toMatchObject(may ? { avatar: null } : refusal);
    expect((await avatarOf(chatId, ada))?.id).toBe(may ? undefined : before);
  },
);

test('a single chat has no avatar, and neither does a missing chat', async () => {
  const { id: single } = await createChat(ada, { type: 'SINGLE', memberIds: [grace.userId] });
  const fileId = await uploadPicture(server, ada);
  expect(await setAvatar(ada, fileId, single)).toMatchObject({ __typename: 'Forbidden' });
  expect(await setAvatar(ada, null, single)).toMatchObject({ __typename: 'Forbidden' });
  expect(await avatarOf(single, grace)).toBeNull();
  const missing = encodeId('Chat', 2n ** 62n);
  expect(await setAvatar(ada, fileId, missing)).toMatchObject({ __typename: 'NotFound' });
  expect(await setAvatar(ada, fileId, ada.userId)).toMatchObject({ fields: [{ path: ['chatId'] }] });
  expect(await readFileNode(ada, fileId)).not.toBeNull();
});

test('setting an avatar requires a signed-in user', async () => {
  const { errors } = await server.post('mutation { setAvatar { __typename } }');
  expect(errors).toMatchObject([{ extensions: { code: 'UNAUTHENTICATED' } }]);
});

test('a user who changes their avatar too often is rate-limited', async () => {
  await using limited = await startServer({ database: server.database, env: { RATE_LIMITS: 'on' } });
  const dennis = await signUp(limited, 'dennis');
  const outcomes = [];
  for (let count = 0; count < 21; count += 1) {
    outcomes.push((await dennis.post('mutation { setAvatar { __typename } }')).errors?.[0]?.extensions?.['code']);
  }
  expect(outcomes.slice(0, 20)).toEqual(Array.from({ length: 20 }));
  expect(outcomes[20]).toBe('RATE_LIMITED');
});

// Simultaneously, over time, and by other writers ---------------------------------------------------------------------

test('of several simultaneous requests to use one picture for different avatars, on two nodes, one succeeds', async () => {
  const barbara = await signUp(server, 'tony');
  for (let round = 0; round < 5; round += 1) {
    const fileId = await uploadPicture(server, barbara);
    const chats = await Promise.all([createGroup(barbara, [grace]), createGroup(barbara, [grace])]);
    const [first, second] = chats;
    const outcomes = await Promise.all([
      setAvatar(barbara, fileId),
      setAvatar(onOtherNode(barbara), fileId, first),
      setAvatar(barbara, fileId, second),
      sendMessage(onOtherNode(barbara), second, 'look', { fileIds: [fileId] }),
    ]);
    expect(outcomes.filter(({ __typename }) => __typename !== 'InvalidInput')).toHaveLength(1);
    expect(await statusOf((await readFileNode(grace, fileId)).url)).toBe(200);
  }
});

test('when two avatars are set at the same time, one remains and the other is deleted', async () => {
  const margaret = await signUp(server, 'margaret');
  for (let round = 0; round < 5; round += 1) {
    const files = await Promise.all([uploadPicture(server, margaret), uploadPicture(server, margaret)]);
    await Promise.all(files.map((id, index) => setAvatar(index === 0 ? margaret : onOtherNode(margaret), id)));
    const { id } = await avatarOf(margaret.userId, grace);
    expect(files).toContain(id);
    const { rows } = await server.sql.query('select id from files where uploader_id = $1', [keyOf(margaret.userId)]);
    expect(rows.map((row) => String(row.id))).toEqual([keyOf(id)]);
  }
});

test('an avatar is never swept for having no message', async () => {
  const fileId = await uploadPicture(server, ada);
  await setAvatar(ada, fileId);
  const forgotten = await uploadPicture(server, ada);
  await server.sql.query(`update files set created_at = now() - interval '25 hours' where id = any ($1)`, [
    [fileId, forgotten].map(keyOf),
  ]);
  await sweep();
  expect(await readFileNode(ada, forgotten)).toBeNull();
  expect(await statusOf((await avatarOf(ada.userId, grace)).url)).toBe(200);
});

test('the bytes of an avatar stay while another user has the same file', async () => {
  const bytes = await paint();
  const [adas, graces] = await Promise.all([ada, grace].map((by) => upload(server, by, bytes, 'both.png')));
  await setAvatar(ada, adas.id);
  await setAvatar(grace, graces.id);
  await setAvatar(ada, null);
  await sweep();
  expect(await statusOf((await avatarOf(grace.userId, linus)).url)).toBe(200);
  await setAvatar(grace, null);
});

test('the database enforces the rules for every writer', async () => {
  const chatId = await createGroup(ada, [grace]);
  const { id: single } = await createChat(ada, { type: 'SINGLE', memberIds: [linus.userId] });
  const [mine, graces] = [await uploadPicture(server, ada), await uploadPicture(server, grace)];
  const text = (await upload(server, ada, 'no picture')).id;
  const give = (table: string, id: string, file: string) =>
    server.sql.query(`update ${table} set avatar_file_id = $2 where id = $1`, [keyOf(id), keyOf(file)]);
  await expect(give('users', ada.userId, graces)).rejects.toThrow('the avatar of a user must be their own upload');
  await expect(give('users', ada.userId, text)).rejects.toThrow('an avatar must be a picture');
  await expect(give('chats', chatId, text)).rejects.toThrow('an avatar must be a picture');
  await expect(give('chats', single, mine)).rejects.toThrow('a_single_chat_has_no_avatar');
  await give('users', ada.userId, mine);
  await expect(give('chats', chatId, mine)).rejects.toThrow('a picture that is not in use');
  await expect(server.sql.query('update files set is_avatar = false where id = $1', [keyOf(mine)])).rejects.toThrow(
    'an avatar cannot be turned into another file',
  );
  const message = await say(ada, chatId, 'look', { fileIds: [text] });
  await server.sql.query('delete from files where id = $1', [keyOf(text)]);
  await expect(
    server.sql.query('update files set message_id = $2, place = 0 where id = $1', [keyOf(mine), keyOf(message)]),
  ).rejects.toThrow('an_avatar_is_in_no_message');
  expect((await avatarOf(ada.userId, grace)).id).toBe(mine);
});

test('the avatars of a page of users cost one statement, and none if no one has an avatar', async () => {
  const people = await Promise.all(['sophie', 'karen', 'radia'].map((name) => signUp(server, name)));
  const chatId = await createGroup(ada, people);
  await setAvatar(ada, null);
  const query =
    'query ($id: ID!) { chat(id: $id) { avatar { id } members { edges { node { user { avatar { id url } } } } } } }';
  const read = async () =>
    (await recordStatements(server, () => grace.ask(query, { id: chatId }))).filter((statement) =>
      /\bfiles\b/.test(statement),
    );
  await server.sql.query('insert into members (chat_id, user_id) values ($1, $2)', [
    keyOf(chatId),
    keyOf(grace.userId),
  ]);
  expect(await read()).toEqual([]);
  for (const person of people) await setAvatar(person, await uploadPicture(server, person));
  await setAvatar(ada, await uploadPicture(server, ada), chatId);
  expect((await read()).length).toBeLessThanOrEqual(2);
});
