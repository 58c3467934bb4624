import { beforeAll, expect, test } from 'vitest';
import { pruneInvites } from '../../src/chat/invite.ts';
import { useInvite } from '../../src/chat/invite-use.ts';
import { connectDatabase, disconnectDatabase, inTransaction, type Db } from '../../src/postgres/client.ts';
import { createProgram } from '../support/api-key.ts';
import { createChat, heardBy, keyOf, say } from '../support/chat.ts';
import { signUp, signUpAll, type Data, type Person } from '../support/client.ts';
import { atFileEnd } from '../support/file-end.ts';
import { createInvite, inviteFields, invitesOf, joinByInvite, previewInvite, revokeInvite } from '../support/invite.ts';
import {
  addPeople,
  contentsIn,
  deleteChat,
  leaveChat,
  removePerson,
  rolesIn,
  setMemberRole,
  updateChat,
} from '../support/membership.ts';
import { onNode } from '../support/message.ts';
import { ban, inMinutes, mute, unban } from '../support/moderation.ts';
import { startServer, type TestServer } from '../support/server.ts';
import { followEvents } from '../support/stream.ts';

let server: TestServer;
let otherNode: TestServer;
let db: Db;
let ada: Person;
let grace: Person;
let linus: Person;
let hedy: Person;
beforeAll(async () => {
  server = await startServer();
  otherNode = await startServer({ database: server.database });
  db = connectDatabase({ url: server.database.url, maxConnections: 4, statementTimeoutMs: 10_000, onError: () => {} });
  atFileEnd(() => disconnectDatabase(db));
  [ada, grace, linus, hedy] = await signUpAll(server, 'ada', 'grace', 'linus', 'hedy');
});

const types = ['GROUP', 'PRIVATE_CHANNEL', 'PUBLIC_CHANNEL'];

/** Creates a chat that Ada owns. Grace is an admin, Linus is a member, and Hedy isn't in it. */
async function create(type: string): Promise<string> {
  const { id } = await createChat(ada, { type, name: 'a party', memberIds: [grace.userId, linus.userId] });
  await setMemberRole(ada, id, grace.userId, 'ADMIN');
  return id;
}

const kindOf = (outcome: Data): string => outcome.__typename;

async function codeFor(by: Person, chatId: string, more: object = {}): Promise<string> {
  const { code, ...outcome } = await createInvite(by, { chatId, ...more });
  if (code === undefined) throw new Error(`no invite: ${JSON.stringify(outcome)}`);
  return code;
}

const makeServerAdmin = (person: Person, role = 'ADMIN') =>
  server.sql.query('update users set server_role = $2::server_role where id = $1', [keyOf(person.userId), role]);

// Who may do what -----------------------------------------------------------------------------------------------------

test.each(types)('those who may add members to a %s can invite to it, and see its invites', async (type) => {
  const chat = await create(type);
  const codes: string[] = [];
  for (const by of [ada, grace, linus]) {
    const { code, ...outcome } = await createInvite(by, { chatId: chat });
    const isAllowed = by !== linus || type === 'GROUP';
    expect([by.name, kindOf(outcome)]).toEqual([by.name, isAllowed ? 'Invite' : 'Forbidden']);
    if (isAllowed) codes.unshift(code);
  }
  expect(kindOf(await createInvite(hedy, { chatId: chat }))).toBe(type === 'PUBLIC_CHANNEL' ? 'Forbidden' : 'NotFound');
  for (const by of [ada, grace]) expect(await invitesOf(by, chat)).toEqual(codes);
  expect(await invitesOf(linus, chat)).toEqual(type === 'GROUP' ? codes : null);
  expect(new Set(codes).size).toBe(codes.length);
  for (const code of codes) expect(code).toMatch(/^piv_[\w-]{43}$/);
});

test('no one can invite to a single chat', async () => {
  const { id } = await createChat(ada, { type: 'SINGLE', memberIds: [grace.userId] });
  expect(kindOf(await createInvite(ada, { chatId: id }))).toBe('Forbidden');
});

test('an invite has at least one use, and ends in the future', async () => {
  const chat = await create('GROUP');
  const fieldOf = async (input: object) => (await createInvite(ada, { chatId: chat, ...input })).fields?.[0];
  for (const maxUses of [0, -1, 100_001]) expect(await fieldOf({ maxUses })).toMatchObject({ path: ['maxUses'] });
  expect(await fieldOf({ expiresAt: inMinutes(-1) })).toMatchObject({ path: ['expiresAt'] });
  const expiresAt = inMinutes(60);
  expect(await createInvite(ada, { chatId: chat, maxUses: 3, expiresAt })).toMatchObject({
    chat: { id: chat },
    chatName: 'a party',
    createdBy: { username: 'ada' },
    expiresAt: expiresAt.toISOString(),
    usesLeft: 3,
  });
});

test('a chat has at most 100 usable invites', async () => {
  const chat = await create('GROUP');
  await server.sql.query(
    `insert into invites (code, chat_id, created_by_id, uses_left)
    select lpad(n::text, 40, 'x') , $1, $2, case when n = 1 then 0 end from generate_series(1, 100) n`,
    [keyOf(chat), keyOf(ada.userId)],
  );
  await codeFor(ada, chat);
  expect(await createInvite(ada, { chatId: chat })).toMatchObject({ fields: [{ path: ['chatId'], code: 'TOO_MANY' }] });
  await deleteChat(ada, chat);
});

test('its creator, owners and admins can revoke an invite', async () => {
  const chat = await create('GROUP');
  const [ofAda, ofLinus] = [await createInvite(ada, { chatId: chat }), await createInvite(linus, { chatId: chat })];
  expect(kindOf(await revokeInvite(hedy, ofLinus.id))).toBe('NotFound');
  expect(kindOf(await revokeInvite(linus, ofAda.id))).toBe('Forbidden');
  expect(await revokeInvite(linus, ofLinus.id)).toEqual({ __typename: 'Invite', id: ofLinus.id });
  expect(kindOf(await revokeInvite(grace, ofAda.id))).toBe('Invite');
  for (const { id, code } of [ofAda, ofLinus]) {
    expect(kindOf(await revokeInvite(ada, id))).toBe('NotFound');
    expect(kindOf(await joinByInvite(hedy, code))).toBe('NotFound');
  }
  expect(await invitesOf(ada, chat)).toEqual([]);
});

test('only server admins can invite to the server alone', async () => {
  // The last admin of a server cannot step down.
  await server.sql.query(
    `insert into users (username, email, server_role) values ('another', 'another@example.com', 'ADMIN')`,
  );
  expect(kindOf(await createInvite(ada, {}))).toBe('Forbidden');
  await makeServerAdmin(ada, 'MODERATOR');
  expect(kindOf(await createInvite(ada, {}))).toBe('Forbidden');
  await makeServerAdmin(ada);
  const { id, code, ...invite } = await createInvite(ada, { maxUses: 1 });
  expect(invite).toMatchObject({ __typename: 'Invite', chat: null, chatName: null, usesLeft: 1 });
  // Letting in a user who is already on the server does not count as a use.
  expect(await joinByInvite(hedy, code)).toMatchObject({ __typename: 'Viewer', user: { username: 'hedy' } });
  expect(await previewInvite(ada, code)).toMatchObject({ usesLeft: 1 });
  expect(kindOf(await revokeInvite(hedy, id))).toBe('NotFound');
  // The invite ends for good when its creator stops being an admin.
  await makeServerAdmin(ada, 'USER');
  await makeServerAdmin(ada);
  expect(await previewInvite(ada, code)).toBeNull();
  await makeServerAdmin(ada, 'USER');
});

test('a program that acts as an admin sees and revokes an invite to the server only with the scope ADMIN', async () => {
  await makeServerAdmin(ada);
  const { id } = await createInvite(ada, {});
  const member = ['USERS_READ', 'CHATS_READ', 'CHATS_WRITE', 'ACT_AS'];
  const actAsAda = async (scopes: string[]) => (await createProgram(server, ada, scopes)).as(ada.userId);
  const [weak, strong] = [await actAsAda(member), await actAsAda([...member, 'ADMIN'])];
  const read = 'query ($id: ID!) { node(id: $id) { id ... on Invite { createdBy { username } } } }';
  expect((await weak.ask(read, { id })).node).toBeNull();
  expect(kindOf(await revokeInvite({ ...ada, ...weak }, id))).toBe('NotFound');
  expect((await strong.ask(read, { id })).node).toEqual({ id, createdBy: { username: 'ada' } });
  expect(kindOf(await revokeInvite({ ...ada, ...strong }, id))).toBe('Invite');
  await makeServerAdmin(ada, 'USER');
});

// What others see ---------------------------------------------------------------------------------------------------

test('two admins who create the last invites to the server at the same time do not exceed 100', async () => {
  const admins = await Promise.all(['root', 'toor'].map((name) => signUp(server, name)));
  for (const admin of admins) await makeServerAdmin(admin);
  await server.sql.query(
    `insert into invites (code, created_by_id) select lpad(n::text, 40, 'y'), $1 from generate_series(1, 99) n`,
    [keyOf(admins[0]?.userId ?? '')],
  );
  const outcomes = await Promise.all(
    admins.map((admin, index) => createInvite(index === 0 ? admin : onNode(otherNode, admin), {})),
  );
  expect(outcomes.map(kindOf).toSorted()).toEqual(['InvalidInput', 'Invite']);
  await server.sql.query('delete from invites where chat_id is null');
});

test('a preview shows strangers only the name, and shows everything to those who may invite', async () => {
  const chat = await create('PRIVATE_CHANNEL');
  const { code } = await createInvite(grace, { chatId: chat, maxUses: 5 });
  const nothing = { chat: null, createdBy: null, expiresAt: null, usesLeft: null };
  const { invite } = await server.ask(`query ($code: String!) { invite(code: $code) { ${inviteFields} } }`, { code });
  expect(invite).toMatchObject({ code, chatName: 'a party', ...nothing });
  expect(await previewInvite(hedy, code)).toMatchObject({ chatName: 'a party', ...nothing });
  expect(await previewInvite(linus, code)).toMatchObject({ ...nothing, chat: { id: chat } });
  expect(await previewInvite(ada, code)).toMatchObject({
    chat: { id: chat },
    createdBy: { username: 'grace' },
    usesLeft: 5,
  });
});

test('the node of an invite is hidden from those who may not invite', async () => {
  const chat = await create('PRIVATE_CHANNEL');
  const { id, code } = await createInvite(grace, { chatId: chat });
  const nodeFor = async (by: Person) =>
    (await by.ask('query ($id: ID!) { node(id: $id) { ... on Invite { code } } }', { id })).node;
  for (const by of [ada, grace]) expect(await nodeFor(by)).toEqual({ code });
  for (const by of [linus, hedy]) expect(await nodeFor(by)).toBeNull();
});

test('an unknown, malformed or very long code is not an invite', async () => {
  for (const code of ['', 'x', `piv_${'A'.repeat(43)}`, `prt_${'A'.repeat(43)}`, 'x'.repeat(100_000), 'a\u0000b']) {
    expect(await previewInvite(hedy, code)).toBeNull();
    expect(kindOf(await joinByInvite(hedy, code))).toBe('NotFound');
  }
});

test('previews are limited by network address, signed in or not', async () => {
  const env = { RATE_LIMITS: 'on', RATE_LIMIT_INVITE_PREVIEWS: '2/1m' };
  await using limited = await startServer({ database: server.database, env });
  const preview = () => limited.post('{ invite(code: "x") { code } }');
  for (let count = 0; count < 2; count += 1) expect((await preview()).data).toEqual({ invite: null });
  expect((await preview()).errors).toMatchObject([
    { extensions: { code: 'RATE_LIMITED', limit: 'RATE_LIMIT_INVITE_PREVIEWS' } },
  ]);
});

test('invites are listed in pages, newest first', async () => {
  const chat = await create('GROUP');
  const codes = [await codeFor(ada, chat), await codeFor(grace, chat), await codeFor(linus, chat)].toReversed();
  const document = `query ($id: ID!, $first: Int, $after: String, $last: Int) {
    chat(id: $id) { invites(first: $first, after: $after, last: $last) {
      edges { cursor node { code } } pageInfo { hasNextPage hasPreviousPage }
    } }
  }`;
  const page = async (variables: object) => (await ada.ask(document, { id: chat, ...variables })).chat.invites;
  const codesIn = ({ edges }: Data) => edges.map(({ node }: Data) => node.code);
  const first = await page({ first: 2 });
  expect([codesIn(first), first.pageInfo.hasNextPage]).toEqual([codes.slice(0, 2), true]);
  const second = await page({ first: 2, after: first.edges[1].cursor });
  expect([codesIn(second), second.pageInfo.hasNextPage]).toEqual([codes.slice(2), false]);
  expect(codesIn(await page({ last: 1 }))).toEqual(codes.slice(2));
});

// What an invite does -------------------------------------------------------------------------------------------------

test.each(types)(
  'a stranger who follows an invite to a %s becomes a member, and all members receive AddToChat',
  async (type) => {
    const chat = await create(type);
    const code = await codeFor(grace, chat, { maxUses: 2 });
    await using stream = await followEvents(server, linus);
    expect(await joinByInvite(hedy, code)).toEqual({
      __typename: 'Chat',
      id: chat,
      viewerMembership: { role: 'MEMBER' },
    });
    expect(await heardBy(linus, stream)).toMatchObject([
      { __typename: 'AddToChat', members: [{ user: { username: 'hedy' } }], addedCount: 1 },
    ]);
    // Existing members keep their roles, and the invite does not count a use.
    for (const by of [hedy, ada]) expect(kindOf(await joinByInvite(by, code))).toBe('Chat');
    expect(await rolesIn(chat, ada)).toEqual({ ada: 'OWNER', grace: 'ADMIN', linus: 'MEMBER', hedy: 'MEMBER' });
    expect(await previewInvite(ada, code)).toMatchObject({ usesLeft: 1 });
  },
);

test('an invite reveals no more history than its creator sees', async () => {
  const chat = await create('PRIVATE_CHANNEL');
  await say(ada, chat, 'before hedy');
  await addPeople(ada, chat, [hedy.userId], 'FROM_NOW');
  await setMemberRole(ada, chat, hedy.userId, 'ADMIN');
  await say(ada, chat, 'with hedy');
  const [ofAda, ofHedy] = [await codeFor(ada, chat), await codeFor(hedy, chat)];
  const margaret = await signUp(server, 'margaret');
  await joinByInvite(margaret, ofHedy);
  expect(await contentsIn(chat, margaret)).toEqual(['with hedy']);
  await leaveChat(margaret, chat);
  await joinByInvite(margaret, ofAda);
  expect(await contentsIn(chat, margaret)).toEqual(['before hedy', 'with hedy']);
});

test('an invite to a group shows messages from then on, as adding someone does', async () => {
  const chat = await create('GROUP');
  await say(ada, chat, 'before');
  await joinByInvite(hedy, await codeFor(ada, chat));
  await say(ada, chat, 'after');
  expect(await contentsIn(chat, hedy)).toEqual(['after']);
});

test('a banned user cannot use an invite, and learns until when and why', async () => {
  const chat = await create('PRIVATE_CHANNEL');
  const code = await codeFor(ada, chat, { maxUses: 1 });
  const until = inMinutes(60);
  await ban(ada, chat, hedy.userId, { until, reason: 'Spam.' });
  expect(await joinByInvite(hedy, code)).toMatchObject({
    __typename: 'Forbidden',
    until: until.toISOString(),
    reason: 'Spam.',
  });
  expect(await previewInvite(ada, code)).toMatchObject({ usesLeft: 1 });
  await unban(ada, chat, hedy.userId);
  expect(kindOf(await joinByInvite(hedy, code))).toBe('Chat');
});

test('an invite lets in as many people as its uses allow, until it expires', async () => {
  const chat = await create('GROUP');
  const once = await codeFor(ada, chat, { maxUses: 1 });
  expect(kindOf(await joinByInvite(hedy, once))).toBe('Chat');
  await leaveChat(hedy, chat);
  expect(kindOf(await joinByInvite(hedy, once))).toBe('NotFound');
  expect(await previewInvite(ada, once)).toBeNull();
  const code = await codeFor(ada, chat, { expiresAt: inMinutes(60) });
  await server.sql.query(`update invites set expires_at = clock_timestamp() - interval '1 ms' where code = $1`, [code]);
  expect(kindOf(await joinByInvite(hedy, code))).toBe('NotFound');
  expect(await invitesOf(ada, chat)).toEqual([]);
  expect(await pruneInvites(db, 100)).toBeGreaterThanOrEqual(2);
  const { rowCount } = await server.sql.query('select from invites where code = any ($1)', [[once, code]]);
  expect(rowCount).toBe(0);
});

// When an invite ends -------------------------------------------------------------------------------------------------

test.each([
  ['its creator leaves', 'GROUP', (chat: string) => leaveChat(linus, chat)],
  ['its creator is removed', 'GROUP', (chat: string) => removePerson(ada, chat, linus.userId)],
  ['its creator is banned', 'GROUP', (chat: string) => ban(ada, chat, linus.userId)],
  ['its group becomes a channel', 'GROUP', (chat: string) => updateChat(ada, chat, { type: 'PRIVATE_CHANNEL' })],
])('the invite of a plain member ends for good when %s', async (_, type, act) => {
  const chat = await create(type);
  const [code, ofGrace] = [await codeFor(linus, chat), await codeFor(grace, chat)];
  expect(kindOf(await act(chat))).not.toBe('Forbidden');
  expect(await previewInvite(ada, code)).toBeNull();
  await unban(ada, chat, linus.userId);
  await addPeople(ada, chat, [linus.userId]);
  await updateChat(ada, chat, { type: 'GROUP' });
  expect(kindOf(await joinByInvite(hedy, code))).toBe('NotFound');
  expect(kindOf(await joinByInvite(hedy, ofGrace))).toBe('Chat');
});

test('the invite of an admin of a channel ends for good when they are demoted, and one to a group does not', async () => {
  const [channel, group] = [await create('PRIVATE_CHANNEL'), await create('GROUP')];
  const [toChannel, toGroup] = [await codeFor(grace, channel), await codeFor(grace, group)];
  for (const chat of [channel, group]) {
    await setMemberRole(ada, chat, grace.userId, 'MEMBER');
    await setMemberRole(ada, chat, grace.userId, 'ADMIN');
  }
  expect(kindOf(await joinByInvite(hedy, toChannel))).toBe('NotFound');
  expect(kindOf(await joinByInvite(hedy, toGroup))).toBe('Chat');
});

test('an invite lets no one in while its creator is suspended', async () => {
  // This test needs its own user, because a suspension ends all sessions.
  const radia = await signUp(server, 'radia');
  const chat = await create('GROUP');
  await addPeople(ada, chat, [radia.userId]);
  const code = await codeFor(radia, chat);
  await server.sql.query(`insert into restrictions (user_id, kind) values ($1, 'SUSPENSION')`, [keyOf(radia.userId)]);
  expect(kindOf(await joinByInvite(hedy, code))).toBe('NotFound');
  expect(await invitesOf(ada, chat)).toEqual([]);
  await server.sql.query(`delete from restrictions where user_id = $1`, [keyOf(radia.userId)]);
  expect(kindOf(await joinByInvite(hedy, code))).toBe('Chat');
});

test('while the creator of an invite is muted, it lets no one in, and the creator cannot make another', async () => {
  const chat = await create('GROUP');
  const code = await codeFor(linus, chat);
  await mute(ada, chat, linus.userId, inMinutes(5));
  expect(kindOf(await createInvite(linus, { chatId: chat }))).toBe('Forbidden');
  await expect(
    server.sql.query(`insert into invites (code, chat_id, created_by_id) values (repeat('x', 40), $1, $2)`, [
      keyOf(chat),
      keyOf(linus.userId),
    ]),
  ).rejects.toThrow('only a user who may add members can create an invite');
  expect(await previewInvite(hedy, code)).toBeNull();
  expect(kindOf(await joinByInvite(hedy, code))).toBe('NotFound');
  await mute(ada, chat, linus.userId, null);
  expect(kindOf(await joinByInvite(hedy, code))).toBe('Chat');
});

test('an invite lets no one in once its creator has erased their account, even before their memberships have ended', async () => {
  const creator = await signUp(server, 'mallory');
  const chat = await createChat(ada, { type: 'GROUP', memberIds: [creator.userId], name: 'a group' });
  const code = await codeFor(creator, chat.id);
  await server.sql.query('update users set deleted_at = now() where id = $1', [keyOf(creator.userId)]);
  expect(await previewInvite(hedy, code)).toBeNull();
  expect(kindOf(await joinByInvite(hedy, code))).toBe('NotFound');
});

test('a demotion whose snapshot is older than an invite does not leave the invite behind', async () => {
  const chat = await create('PRIVATE_CHANNEL');
  const client = await server.sql.connect();
  try {
    await client.query('begin isolation level repeatable read; select count(*) from chats');
    await codeFor(grace, chat);
    const demoting = client.query(`update members set role = 'MEMBER' where chat_id = $1 and user_id = $2`, [
      keyOf(chat),
      keyOf(grace.userId),
    ]);
    await expect(demoting).rejects.toMatchObject({ code: '40001' });
  } finally {
    await client.query('rollback');
    client.release();
  }
});

test('the database refuses an invite by a user who may not add members', async () => {
  const chat = await create('PRIVATE_CHANNEL');
  const insert = (person: Person, chatId: string | null) =>
    server.sql.query(
      `insert into invites (code, chat_id, created_by_id) values (md5(random()::text) || 'xxxxxxxx', $1, $2)`,
      [chatId && keyOf(chatId), keyOf(person.userId)],
    );
  await insert(grace, chat);
  for (const person of [linus, hedy]) await expect(insert(person, chat)).rejects.toMatchObject({ code: '23514' });
  await expect(insert(grace, null)).rejects.toMatchObject({ code: '23514' });
});

// At the same time ----------------------------------------------------------------------------------------------------

test('of two users who take the last use at the same time on two nodes, one gets in', async () => {
  const others = await signUpAll(server, 'joan', 'mary', 'kay', 'jean');
  for (let round = 0; round < 5; round += 1) {
    const chat = await create('GROUP');
    const code = await codeFor(ada, chat, { maxUses: 1 });
    const outcomes = await Promise.all(
      others.map((person, index) => joinByInvite(onNode(index % 2 === 0 ? server : otherNode, person), code)),
    );
    expect(outcomes.map(kindOf).toSorted()).toEqual(['Chat', 'NotFound', 'NotFound', 'NotFound']);
    expect(Object.keys(await rolesIn(chat, ada))).toHaveLength(4);
  }
});

test('one user who uses an invite several times at the same time counts as one use', async () => {
  const chat = await create('GROUP');
  const code = await codeFor(ada, chat, { maxUses: 3 });
  const outcomes = await Promise.all(
    [server, otherNode, server, otherNode].map((node) => joinByInvite(onNode(node, hedy), code)),
  );
  expect(outcomes.map(kindOf)).toEqual(['Chat', 'Chat', 'Chat', 'Chat']);
  expect(await previewInvite(ada, code)).toMatchObject({ usesLeft: 2 });
});

test('when the creator is banned while the invite is used, the use comes first or does not happen', async () => {
  for (let round = 0; round < 5; round += 1) {
    const chat = await create('GROUP');
    const code = await codeFor(linus, chat);
    const [, joined] = await Promise.all([ban(ada, chat, linus.userId), joinByInvite(onNode(otherNode, hedy), code)]);
    const { rows } = await server.sql.query<{ kind: string }>(
      `select kind from events where chat_id = $1 and kind in ('AddToChat', 'RemoveFromChat') order by id`,
      [keyOf(chat)],
    );
    expect(rows.map(({ kind }) => kind)).toEqual(
      kindOf(joined) === 'Chat' ? ['AddToChat', 'RemoveFromChat'] : ['RemoveFromChat'],
    );
  }
});

// Signing up with an invite -------------------------------------------------------------------------------------------

test('an invite to the server counts a use for each new user, and one to a chat makes them a member', async () => {
  await makeServerAdmin(ada);
  const { code: toServer } = await createInvite(ada, { maxUses: 2 });
  const use = (code: string, person: Person) =>
    inTransaction({ pool: db.pool }, (client) => useInvite(client, code, BigInt(keyOf(person.userId)))).then(
      () => 'in',
      (error: Error) => error.constructor.name,
    );
  const outcomes = await Promise.all([hedy, linus, grace].map((person) => use(toServer, person)));
  expect(outcomes.toSorted()).toEqual(['NotFound', 'in', 'in']);
  const chat = await create('PRIVATE_CHANNEL');
  expect(await use(await codeFor(ada, chat), hedy)).toBe('in');
  expect(await rolesIn(chat, ada)).toHaveProperty('hedy', 'MEMBER');
  expect(await use('unknown', hedy)).toBe('NotFound');
});
