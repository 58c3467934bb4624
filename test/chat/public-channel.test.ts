import { beforeAll, expect, test } from 'vitest';
import { createChat, createGroup } from '../support/chat.ts';
import { signUp, type Data, type Person, type Variables } from '../support/client.ts';
import { deleteChat, removePerson, updateChat } from '../support/membership.ts';
import { listPublicChannels, publicChannelsDocument } from '../support/public-channel.ts';
import { awaitIndex } from '../support/search.ts';
import { startServer, type TestServer } from '../support/server.ts';

let server: TestServer;
let ada: Person;
let linus: Person;
/** By name. */
const idOf = new Map<string, string>();
const names = [
  'Ada & friends',
  'C++',
  'general',
  'Örebro',
  'rust',
  'Rust for beginners',
  'trust',
  '日本語チャンネル',
  '100%',
  '100_x',
];
const inOrder = [
  '100%',
  '100_x',
  'Ada & friends',
  'C++',
  'general',
  'rust',
  'Rust for beginners',
  'trust',
  'Örebro',
  '日本語チャンネル',
];

beforeAll(async () => {
  server = await startServer();
  [ada, linus] = await Promise.all([signUp(server, 'ada'), signUp(server, 'linus')]);
  for (const name of names) {
    const { id } = await createChat(ada, { type: 'PUBLIC_CHANNEL', name });
    idOf.set(name, id);
  }
  await createChat(ada, { type: 'PRIVATE_CHANNEL', name: 'rust in private', memberIds: [linus.userId] });
  await createGroup(ada, [linus], 'rust in a group');
});

const namesOf = (page: Data): string[] => page.edges.map(({ node }: Data) => node.name);
const namesFound = async (search: string) => namesOf(await listPublicChannels(linus, { search }));

test('everyone finds the public channels by name, and no other chats', async () => {
  expect(namesOf(await listPublicChannels(linus))).toEqual(inOrder);
  expect(namesOf(await listPublicChannels(ada))).toEqual(inOrder);
  for (const search of ['', ' ', null]) expect(namesOf(await listPublicChannels(linus, { search }))).toEqual(inOrder);
  const { edges } = await listPublicChannels(linus, { first: 1 });
  expect(edges[0].node).toEqual({
    id: idOf.get('100%'),
    name: '100%',
    type: 'PUBLIC_CHANNEL',
    memberCount: 1,
    viewerMembership: null,
  });
});

test.each(['before', 'after'])(
  'a search finds the beginning of each word of a name, %s it is indexed',
  async (time) => {
    if (time === 'after') await awaitIndex(server);
    expect(await namesFound('rust')).toEqual(['rust', 'Rust for beginners']);
    expect(await namesFound(' RUST ')).toEqual(['rust', 'Rust for beginners']);
    expect(await namesFound('beg rus')).toEqual(['Rust for beginners']);
    expect(await namesFound('"for beginners"')).toEqual(['Rust for beginners']);
    expect(await namesFound('rust -beginners')).toEqual(['rust']);
    expect(await namesFound('#general')).toEqual(['general']);
    expect(await namesFound('c++')).toEqual(['C++']);
    expect(await namesFound('öre')).toEqual(['Örebro']);
    expect(await namesFound('ORE')).toEqual(['Örebro']);
    expect(await namesFound('本語')).toEqual(['日本語チャンネル']);
    expect(await namesFound('nothing of this name')).toEqual([]);
    for (const nothing of ['&', '-rust', 'ust']) expect(await namesFound(nothing)).toEqual([]);
  },
);

test('a name is found from the moment of its commit, whichever client wrote it', async () => {
  await awaitIndex(server);
  const { rows } = await server.sql.query<{ id: bigint }>(
    `insert into chats (type, name) values ('PUBLIC_CHANNEL', 'written by hand') returning id`,
  );
  expect(await namesFound('hand')).toEqual(['written by hand']);
  await awaitIndex(server);
  expect(await namesFound('hand')).toEqual(['written by hand']);
  await server.sql.query(`update chats set name = 'rewritten' where id = $1`, [rows[0]?.id]);
  expect(await namesFound('hand')).toEqual([]);
  expect(await namesFound('rewr')).toEqual(['rewritten']);
  await awaitIndex(server);
  expect(await namesFound('hand')).toEqual([]);
  expect(await namesFound('rewr')).toEqual(['rewritten']);
  await server.sql.query(`update chats set type = 'PRIVATE_CHANNEL' where id = $1`, [rows[0]?.id]);
  expect(await namesFound('rewr')).toEqual([]);
  const { rows: left } = await server.sql.query('select from search_channels where chat_id = $1', [rows[0]?.id]);
  expect(left).toEqual([]);
  await server.sql.query('delete from chats where id = $1', [rows[0]?.id]);
});

test('pattern characters have no special meaning in a search', async () => {
  expect(await namesFound('100%')).toEqual(['100%', '100_x']);
  expect(await namesFound('100_')).toEqual(['100%', '100_x']);
  expect(await namesFound('100_x')).toEqual(['100_x']);
  expect(await namesFound('_')).toEqual([]);
  expect(await namesFound('\\')).toEqual([]);
  expect(await namesFound("'; drop table chats; --")).toEqual([]);
});

test.each([1, 3, 7, 100])('pages of %i show every channel once, in order', async (first) => {
  for (const [search, expected] of [
    [null, inOrder],
    ['rust', ['rust', 'Rust for beginners']],
  ] as const) {
    const seen: string[] = [];
    let after: string | null = null;
    for (;;) {
      const page: Data = await listPublicChannels(linus, { search, first, after });
      seen.push(...namesOf(page));
      expect(page.pageInfo).toEqual({
        hasNextPage: seen.length < expected.length,
        hasPreviousPage: after !== null,
        startCursor: page.edges[0].cursor,
        endCursor: page.edges.at(-1).cursor,
      });
      if (page.pageInfo.hasNextPage === false) break;
      after = page.pageInfo.endCursor;
    }
    expect(seen).toEqual(expected);
  }
});

test('channels with the same name are all listed, and a page continues after one that is gone', async () => {
  const twins: string[] = [];
  for (let index = 0; index < 3; index += 1) {
    twins.push((await createChat(ada, { type: 'PUBLIC_CHANNEL', name: index === 1 ? 'TWIN' : 'twin' })).id);
  }
  const idsOf = (page: Data) => page.edges.map(({ node }: Data) => node.id);
  expect(idsOf(await listPublicChannels(linus, { search: 'twin' }))).toEqual(twins);
  const { pageInfo } = await listPublicChannels(linus, { search: 'twin', first: 1 });
  await deleteChat(ada, twins[0] ?? '');
  expect(idsOf(await listPublicChannels(linus, { search: 'twin', after: pageInfo.endCursor }))).toEqual(twins.slice(1));
  for (const twin of twins.slice(1)) await deleteChat(ada, twin);
});

test('a channel is listed while it is public, even for a user who was removed from it', async () => {
  const { id } = await createChat(ada, { type: 'PUBLIC_CHANNEL', name: 'now and then', memberIds: [linus.userId] });
  expect((await listPublicChannels(linus, { search: 'now and' })).edges[0].node.viewerMembership).toEqual({
    role: 'MEMBER',
  });
  await removePerson(ada, id, linus.userId);
  expect((await listPublicChannels(linus, { search: 'now and' })).edges[0].node.viewerMembership).toBeNull();
  await updateChat(ada, id, { type: 'PRIVATE_CHANNEL' });
  expect(await namesFound('now and')).toEqual([]);
  await updateChat(ada, id, { type: 'PUBLIC_CHANNEL', name: 'once more' });
  expect(await namesFound('now and')).toEqual([]);
  expect(await namesFound('once more')).toEqual(['once more']);
  await deleteChat(ada, id);
  expect(await namesFound('once more')).toEqual([]);
});

test('an invalid search, page size or cursor is refused', async () => {
  const refused = async (variables: Variables) => {
    const { data, errors } = await linus.post(publicChannelsDocument, variables);
    expect(data ?? null).toBeNull();
    return [errors?.[0]?.extensions?.['code'], errors?.[0]?.message.split(':')[0]];
  };
  const listed = await linus.ask('{ viewer { chats { pageInfo { endCursor } } } }');
  const cursor = (text: string) => Buffer.from(text).toString('base64url');
  for (const after of [
    'nonsense',
    '',
    'x'.repeat(10_000),
    listed.viewer.chats.pageInfo.endCursor,
    cursor('publicChannels:1:a\u0000b'),
    cursor('publicChannels:9999999999999999999:a'),
    cursor('publicChannels:01:a'),
    cursor('users:1:a'),
    `${cursor('publicChannels:1:a')}=`,
  ]) {
    expect([after, ...(await refused({ after }))]).toEqual([after, 'BAD_REQUEST', 'after']);
  }
  for (const first of [-1, 101]) expect(await refused({ first })).toEqual(['BAD_REQUEST', 'first']);
  for (const search of ['x'.repeat(65), 'a\u0000b', 'a\nb', '\ud800']) {
    expect(await refused({ search })).toEqual(['BAD_REQUEST', 'search']);
  }
});

test('listing channels requires a signed-in user', async () => {
  const { data, errors } = await server.post(publicChannelsDocument);
  expect(data ?? null).toBeNull();
  expect(errors).toMatchObject([{ extensions: { code: 'UNAUTHENTICATED' } }]);
});
