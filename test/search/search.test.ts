import { readFile } from 'node:fs/promises';
import fc from 'fast-check';
import { beforeAll, expect, test } from 'vitest';
import { encodeId } from '../../src/core/id.ts';
import { addMembers, createChat, createGroup, createPublicChannel, keyOf, removeMember, say } from '../support/chat.ts';
import { type Data, type Person, type Variables, signUp, signUpAll } from '../support/client.ts';
import { rounds } from '../support/rounds.ts';
import { awaitIndex } from '../support/search.ts';
import { startServer, type TestServer } from '../support/server.ts';

let server: TestServer;
let ada: Person;
let grace: Person;
let linus: Person;
beforeAll(async () => {
  server = await startServer();
  [ada, grace, linus] = await signUpAll(server, 'ada', 'grace', 'linus');
});

const searchDocument = `query ($query: String, $filter: MessageFilter, $sort: MessageSort, $first: Int, $after: String) {
  searchMessages(query: $query, filter: $filter, sort: $sort, first: $first, after: $after) {
    edges { cursor node { id content } } pageInfo { hasNextPage hasPreviousPage endCursor }
  }
}`;

async function search(by: Person, query: string | null, more: Variables = {}): Promise<Data> {
  await awaitIndex(server);
  return (await by.ask(searchDocument, { query, ...more })).searchMessages;
}

/** Returns the contents of the results, newest first. */
async function find(by: Person, query: string | null, filter?: Variables): Promise<string[]> {
  const { edges } = await search(by, query, { filter });
  return edges.map(({ node }: Data) => node.content);
}

/**
 * Creates a group with Ada and Grace, in which Ada has sent these messages. Returns a function that searches only that
 * group.
 */
async function createTalk(...contents: string[]): Promise<(query: string) => Promise<string[]>> {
  const chatId = await createGroup(ada, [grace]);
  for (const content of contents) await say(ada, chatId, content);
  return (query) => find(grace, query, { chatId });
}

test('messages are found by their words, in any case and order, newest first', async () => {
  const findHere = await createTalk('the black cat', 'The CAT, black as night!', 'a black dog', 'catalogue');
  expect(await findHere('black cat')).toEqual(['The CAT, black as night!', 'the black cat']);
  expect(await findHere('CAT the')).toEqual(['The CAT, black as night!', 'the black cat']);
  expect(await findHere('cat "black"')).toEqual(['The CAT, black as night!', 'the black cat']);
  expect(await findHere('horse')).toEqual([]);
});

test('a phrase is found in exactly that form', async () => {
  const findHere = await createTalk('to be or not to be', 'not to be outdone', 'be to not');
  expect(await findHere('"not to be"')).toEqual(['not to be outdone', 'to be or not to be']);
  expect(await findHere('"to not"')).toEqual(['be to not']);
  expect(await findHere('"not to')).toEqual(['not to be outdone', 'to be or not to be']);
});

test('a minus sign excludes a word, and `or` adds an alternative', async () => {
  const findHere = await createTalk('red apple', 'green apple', 'red cherry', 'green pear');
  expect(await findHere('apple -green')).toEqual(['red apple']);
  expect(await findHere('-apple -"green pear"')).toEqual(['red cherry']);
  expect(await findHere('green pear or cherry')).toEqual(['green pear', 'red cherry']);
  expect(await findHere('apple green or red cherry')).toEqual(['red cherry', 'green apple']);
  expect(await findHere('-green')).toEqual(['red cherry', 'red apple']);
});

test('punctuation on its own is ignored', async () => {
  const findHere = await createTalk('wait ... what', 'wait – what else', 'wait for it');
  expect(await findHere('wait ... what')).toEqual(['wait – what else', 'wait ... what']);
  expect(await findHere('wait - what ?!')).toEqual(['wait – what else', 'wait ... what']);
  expect(await findHere('wait .. -"what else"')).toEqual(['wait for it', 'wait ... what']);
  expect(await findHere('...')).toEqual([]);
});

test('every word may be incomplete', async () => {
  const findHere = await createTalk('hello world', 'hello worldwide', 'help the world', 'well-known fact');
  expect(await findHere('hello wor')).toEqual(['hello worldwide', 'hello world']);
  expect(await findHere('wor hel')).toEqual(['help the world', 'hello worldwide', 'hello world']);
  expect(await findHere('hello or wor')).toEqual(['help the world', 'hello worldwide', 'hello world']);
  expect(await findHere('hello "wor"')).toEqual([]);
  expect(await findHere('hello -wor')).toEqual(['hello worldwide', 'hello world']);
  expect(await findHere('well-kn')).toEqual(['well-known fact']);
  expect(await findHere('h')).toEqual(['help the world', 'hello worldwide', 'hello world']);
});

test('words are found in any script, and web addresses and usernames are found as a whole', async () => {
  const findHere = await createTalk(
    'Grüße aus Köln',
    'привет мир',
    '日本語テキスト',
    'see https://example.com/x',
    'ask @grace',
  );
  expect(await findHere('grüße')).toEqual(['Grüße aus Köln']);
  expect(await findHere('прив')).toEqual(['привет мир']);
  expect(await findHere('日本')).toEqual(['日本語テキスト']);
  expect(await findHere('example.com')).toEqual(['see https://example.com/x']);
  expect(await findHere('@grace')).toEqual(['ask @grace']);
});

test('no search text causes an error, and one without a word finds nothing', async () => {
  const findHere = await createTalk('hello world');
  for (const nothing of ['!!!', '"', '""', '-', '😀', `'`, '&', ':*', '()', '\\', '\u0000']) {
    expect(await findHere(nothing)).toEqual([]);
  }
  for (const nothing of ['', ' ', '\n', null]) expect(await find(grace, nothing)).toEqual([]);
  for (const odd of [
    `'hello':*`,
    'hello & (world',
    'hello !!!',
    'hello\u0000world',
    'hello \\',
    `hello '`,
    '<-> hello',
  ]) {
    expect(await findHere(odd)).toEqual(['hello world']);
  }
  await fc.assert(
    fc.asyncProperty(fc.string({ unit: 'binary', maxLength: 40 }), async (text) => {
      const { data, errors } = await grace.post(searchDocument, { query: text });
      expect(errors).toBeUndefined();
      expect(data.searchMessages.edges).toBeDefined();
    }),
    { numRuns: 60 },
  );
});

test('a search has at most 500 characters', async () => {
  expect(await find(ada, '—'.repeat(500))).toEqual([]);
  expect(await find(ada, 'x'.repeat(500))).toEqual([]);
  expect(await find(ada, 'İ'.repeat(500))).toEqual([]);
  const { errors } = await ada.post(searchDocument, { query: 'x'.repeat(501) });
  expect(errors).toMatchObject([{ extensions: { code: 'BAD_REQUEST' } }]);
});

test('no word in a search can match the index entry for a chat', async () => {
  const chat = await createGroup(ada, [grace]);
  await say(ada, chat, 'something');
  const key = `@c${keyOf(chat)}`;
  for (const query of [key, `"${key}"`, `c${keyOf(chat)}`]) expect(await find(ada, query)).toEqual([]);
  const hidden = await createGroup(linus, [grace]);
  await say(linus, hidden, 'zanzibar');
  expect(await find(ada, `zanzibar or '@c${keyOf(hidden)}'`)).toEqual([]);
});

test('filters by chat, sender, time and files can be combined', async () => {
  const [one, two] = await Promise.all([createGroup(ada, [grace]), createGroup(ada, [grace])]);
  await say(ada, one, 'filtered by ada in one');
  const between = await say(grace, one, 'filtered by grace in one');
  await say(ada, two, 'filtered by ada in two');
  await server.sql.query(`update messages set created_at = '2030-01-01T00:00:00Z' where id = $1`, [keyOf(between)]);
  const [inOne, byGrace, byAda] = [{ chatId: one }, { senderId: grace.userId }, { senderId: ada.userId }];
  expect(await find(grace, 'filtered')).toHaveLength(3);
  expect(await find(grace, 'filtered', inOne)).toEqual(['filtered by grace in one', 'filtered by ada in one']);
  expect(await find(grace, 'filtered', byAda)).toEqual(['filtered by ada in two', 'filtered by ada in one']);
  expect(await find(grace, 'filtered', { ...inOne, ...byAda })).toEqual(['filtered by ada in one']);
  expect(await find(grace, 'filtered', { sentAfter: '2029-12-31T23:59:59.999Z' })).toEqual([
    'filtered by grace in one',
  ]);
  expect(await find(grace, 'filtered', { sentAfter: '2030-01-01T00:00:00Z' })).toEqual([]);
  expect(await find(grace, 'filtered', { ...byGrace, sentBefore: '2030-01-01T00:00:00Z' })).toEqual([]);
  expect(await find(grace, 'filtered', { ...inOne, sentBefore: '2030-01-01T00:00:00Z' })).toEqual([
    'filtered by ada in one',
  ]);
  expect(await find(grace, 'filtered', { has: 'FILE' })).toEqual([]);
  await server.sql.query(
    `with blob as (insert into blobs (hash, size, content_type) values (sha256('x'), 1, 'text/plain') returning hash),
      message as (update messages set file_count = 1 where id = $1 returning id)
    select from message`,
    [keyOf(between)],
  );
  await server.sql.query(
    `insert into files (uploader_id, blob_hash, name, message_id, place) values ($1, sha256('x'), 'x.txt', $2, 0)`,
    [keyOf(grace.userId), keyOf(between)],
  );
  expect(await find(grace, 'filtered', { has: 'FILE' })).toEqual(['filtered by grace in one']);
  for (const filter of [{ chatId: 'nonsense' }, { senderId: encodeId('Chat', 1) }, { sentAfter: 'yesterday' }]) {
    const { errors } = await grace.post(searchDocument, { query: 'filtered', filter });
    expect(errors).toMatchObject([{ extensions: { code: 'BAD_REQUEST' } }]);
  }
});

test('results are paged, even when one of them is deleted in the meantime', async () => {
  const chatId = await createGroup(ada, [grace]);
  const ids: string[] = [];
  for (let count = 1; count <= 7; count += 1) ids.unshift(await say(ada, chatId, `paged ${count}`));
  const page = (more: Variables) => search(grace, 'paged', { filter: { chatId }, first: 3, ...more });
  const idsOf = ({ edges }: Data) => edges.map(({ node }: Data) => node.id);
  const first = await page({});
  expect(idsOf(first)).toEqual(ids.slice(0, 3));
  expect(first.pageInfo).toMatchObject({ hasNextPage: true, hasPreviousPage: false });
  await server.sql.query('delete from messages where id = $1', [keyOf(ids[2] as string)]);
  const second = await page({ after: first.pageInfo.endCursor });
  expect(idsOf(second)).toEqual(ids.slice(3, 6));
  const third = await page({ after: second.pageInfo.endCursor });
  expect(idsOf(third)).toEqual(ids.slice(6));
  expect(third.pageInfo).toMatchObject({ hasNextPage: false, hasPreviousPage: true });
  const { errors } = await grace.post(searchDocument, { query: 'paged', after: 'nonsense' });
  expect(errors).toMatchObject([{ extensions: { code: 'BAD_REQUEST' } }]);
});

test('a message is found by its current content, and not at all once deleted', async () => {
  const chatId = await createGroup(ada, [grace]);
  const id = await say(ada, chatId, 'umbrella');
  expect(await find(grace, 'umbrella', { chatId })).toEqual(['umbrella']);
  await ada.ask('mutation ($id: ID!) { editMessage(messageId: $id, content: "parasol") { __typename } }', { id });
  expect(await find(grace, 'umbrella', { chatId })).toEqual([]);
  expect(await find(grace, 'parasol', { chatId })).toEqual(['parasol']);
  await ada.ask('mutation ($id: ID!) { deleteMessage(messageId: $id) { __typename } }', { id });
  expect(await find(grace, 'parasol', { chatId })).toEqual([]);
  const { rows } = await server.sql.query('select from search_entries where message_id = $1', [keyOf(id)]);
  expect(rows).toEqual([]);
});

test('searching requires a signed-in user', async () => {
  const { errors } = await server.post(searchDocument, { query: 'hello' });
  expect(errors).toMatchObject([{ extensions: { code: 'UNAUTHENTICATED' } }]);
});

type Term = { kind: 'word' | 'not' | 'phrase'; words: string[] };

const vocabulary = ['apple', 'apricot', 'banana', 'ban', 'cherry', 'or2'];
const word = fc.constantFrom(...vocabulary);
const term: fc.Arbitrary<Term> = fc.oneof(
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('word' as const), words: fc.tuple(word) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('not' as const), words: fc.tuple(word) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('phrase' as const), words: fc.tuple(word, word) }) },
);
/** A search query, which consists of alternatives with several conditions each. */
const query = fc.array(fc.array(term, { minLength: 1, maxLength: 3 }), { minLength: 1, maxLength: 2 });

function write(alternatives: Term[][]): string {
  const marks = { word: ['', ''], not: ['-', ''], phrase: ['"', '"'] } as const;
  return alternatives
    .map((terms) => terms.map(({ kind, words }) => marks[kind][0] + words.join(' ') + marks[kind][1]).join(' '))
    .join(' or ');
}

/** Returns whether a reader would expect the query to find this content. */
function matches(content: string, alternatives: Term[][]): boolean {
  const words = content.split(' ');
  const holds = ({ kind, words: [first = '', second] }: Term) => {
    if (kind === 'phrase') return words.some((each, index) => each === first && words[index + 1] === second);
    const isThere = words.some((each) => (kind === 'word' ? each.startsWith(first) : each === first));
    return isThere === (kind === 'word');
  };
  return alternatives.some((terms) => terms.every(holds));
}

/** Returns everything that a user can read in every chat, message by message. */
async function readEverything(by: Person, chatIds: string[]): Promise<{ id: string; content: string }[]> {
  const found: { id: string; content: string }[] = [];
  for (const id of chatIds) {
    const { chat } = await by.ask(
      'query ($id: ID!) { chat(id: $id) { messages(first: 100) { edges { node { id content } } pageInfo { hasNextPage } } } }',
      { id },
    );
    if (chat === null) continue;
    expect(chat.messages.pageInfo.hasNextPage).toBe(false);
    found.push(...chat.messages.edges.map(({ node }: Data) => node).filter(({ content }: Data) => content !== null));
  }
  return found;
}

async function searchWhole(by: Person, text: string): Promise<string[]> {
  const ids: string[] = [];
  for (let after: string | null = null; ;) {
    const { edges, pageInfo }: Data = await search(by, text, { first: 20, after });
    ids.push(...edges.map(({ node }: Data) => node.id));
    if (!pageInfo.hasNextPage) return ids;
    after = pageInfo.endCursor;
  }
}

test(
  'everyone finds what they would find by reading every message, and nothing else',
  { timeout: 60_000 },
  async () => {
    await server.sql.query('delete from chats');
    const people = [ada, grace, linus, await signUp(server, 'alan')];
    const members = [grace.userId, linus.userId];
    const chats = [
      await createGroup(ada, [grace]),
      await createGroup(grace, [linus, ada]),
      await createPublicChannel(ada),
      await createPublicChannel(grace),
      (await createChat(ada, { type: 'PRIVATE_CHANNEL', name: 'closed', memberIds: members })).id,
      (await createChat(grace, { type: 'SINGLE', memberIds: [linus.userId] })).id,
      (await createChat(linus, { type: 'SINGLE', memberIds: [linus.userId] })).id,
    ];
    const write40 = (offset: number) =>
      server.sql.query(
        `insert into messages (chat_id, sender_id, content)
      select chat_id, $2, (
        select string_agg(w, ' ') from (
          select ($3::text[])[1 + abs(hashint8(chat_id * 1000 + n * 10 + k + $4)) % array_length($3::text[], 1)] as w
          from generate_series(1, 1 + n % 4) k) words)
      from unnest($1::bigint[]) as chat_id, generate_series(1, 40) n`,
        [chats.map(keyOf), keyOf(ada.userId), vocabulary, offset],
      );
    await write40(0);
    // One user joins a chat late, another user is removed from a chat, a channel becomes private, and some messages are
    // deleted.
    await addMembers(server, chats[0] as string, [linus], 41);
    await removeMember(server, chats[1] as string, ada);
    await server.sql.query(`update chats set type = 'PRIVATE_CHANNEL' where id = $1`, [keyOf(chats[3] as string)]);
    await write40(7);
    await server.sql.query('delete from messages where seq % 9 = 0');
    await server.sql.query(`update messages set content = 'cherry apple' where seq % 11 = 0 and deleted_at is null`);

    const readable = await Promise.all(people.map((person) => readEverything(person, chats)));
    // Each user can read a different set of messages.
    expect(new Set(readable.map(({ length }) => length)).size).toBe(people.length);
    const byNewest = (ids: string[]) => ids.toSorted((one, other) => Number(BigInt(keyOf(other)) - BigInt(keyOf(one))));
    let count = 0;
    await fc.assert(
      fc.asyncProperty(query, async (alternatives) => {
        for (const [index, person] of people.entries()) {
          const expected = (readable[index] ?? []).filter(({ content }) => matches(content, alternatives));
          count += expected.length;
          expect(await searchWhole(person, write(alternatives))).toEqual(byNewest(expected.map(({ id }) => id)));
        }
      }),
      { numRuns: rounds(8, 25) },
    );
    expect(count).toBeGreaterThan(100);
  },
);

test('a user who may read more than a thousand chats finds what is in all of them, and no more', async () => {
  const seen = await createGroup(linus, [grace]);
  const unseen = await createGroup(ada, [grace]);
  await say(linus, seen, 'quixotic among many');
  await say(ada, unseen, 'quixotic elsewhere');
  await server.sql.query(
    `insert into chats (type, name) select 'PUBLIC_CHANNEL', 'channel ' || n from generate_series(1, 1001) n`,
  );
  await server.sql.query(
    `insert into messages (chat_id, sender_id, content)
    select max(id), $1, 'quixotic in public' from chats where type = 'PUBLIC_CHANNEL'`,
    [keyOf(ada.userId)],
  );
  expect(await find(linus, 'quixotic')).toEqual(['quixotic in public', 'quixotic among many']);
  expect(await find(linus, '-public quix')).toEqual(['quixotic among many']);
});

const details = `query ($query: String, $filter: MessageFilter, $sort: MessageSort) {
  searchMessages(query: $query, filter: $filter, sort: $sort) {
    totalCount edges { node { content } snippet ranges { start end } }
  }
}`;

async function look(by: Person, variables: Variables): Promise<Data> {
  await awaitIndex(server);
  return (await by.ask(details, variables)).searchMessages;
}

test('a filter without words finds everything that matches it', async () => {
  const chatId = await createGroup(ada, [grace]);
  const first = await say(ada, chatId, 'see https://example.com');
  await say(grace, chatId, `@ada the second`);
  await ada.ask('mutation ($id: ID!) { pinMessage(messageId: $id) { __typename } }', { id: first });
  const contents = ['@ada the second', 'see https://example.com'];
  expect(await find(grace, null, { chatId })).toEqual(contents);
  expect(await find(grace, '', { chatId, senderId: grace.userId })).toEqual(contents.slice(0, 1));
  expect(await find(grace, null, { chatId, has: 'LINK' })).toEqual(contents.slice(1));
  expect(await find(grace, null, { chatId, isPinned: true })).toEqual(contents.slice(1));
  expect(await find(grace, null, { chatId, isPinned: false })).toEqual(contents.slice(0, 1));
  expect(await find(ada, null, { chatId, mentionsViewer: true })).toEqual(contents.slice(0, 1));
  expect(await find(ada, 'second', { chatId, mentionsViewer: false })).toEqual([]);
  expect(await find(linus, null, { chatId })).toEqual([]);
  expect(await find(linus, null, { isPinned: true })).toEqual([]);
});

test('matches are counted, sorted and highlighted', async () => {
  const chatId = await createGroup(ada, [grace]);
  for (const content of [
    'migrate the café',
    'a migration',
    'Migr is short for the cafe',
    `${'so '.repeat(200)}😀 migrate`,
  ])
    await say(ada, chatId, content);
  const filter = { chatId };
  const contentsOf = ({ edges }: Data) => edges.map(({ node }: Data) => node.content.slice(0, 8));
  const oldest = await look(grace, { query: 'migr', filter, sort: 'OLDEST' });
  expect(oldest.totalCount).toBe(4);
  expect(contentsOf(oldest)).toEqual(['migrate ', 'a migrat', 'Migr is ', 'so so so']);
  const best = await look(grace, { query: 'migr', filter, sort: 'RELEVANCE' });
  expect(contentsOf(best)).toEqual(['Migr is ', 'so so so', 'migrate ', 'a migrat']);
  for (const { snippet, ranges } of best.edges) {
    expect(ranges).toHaveLength(1);
    expect([...snippet].slice(ranges[0].start, ranges[0].end).join('')).toMatch(/^migr(ate|ation)?$/i);
  }
  const accented = await look(grace, { query: 'café', filter, sort: 'RELEVANCE' });
  expect(contentsOf(accented)).toEqual(['migrate ', 'Migr is ']);
});

test.each(['NEWEST', 'OLDEST', 'RELEVANCE'])(
  'pages by %s neither repeat nor miss a message while others come',
  async (sort) => {
    const chatId = await createGroup(ada, [grace]);
    for (let count = 1; count <= 6; count += 1) await say(ada, chatId, count % 2 === 0 ? 'turn' : 'turning');
    const found: string[] = [];
    for (let after: string | null = null, page = 0; ; page += 1) {
      const { edges, pageInfo }: Data = await search(grace, 'turn', { filter: { chatId }, sort, first: 2, after });
      found.push(...edges.map(({ node }: Data) => node.id));
      if (!pageInfo.hasNextPage || page > 5) break;
      after = pageInfo.endCursor;
      if (page === 0 && sort !== 'OLDEST') await say(ada, chatId, 'turn');
    }
    expect(found).toHaveLength(6);
    expect(new Set(found).size).toBe(6);
  },
);

test('the example in docs/search.md works', async () => {
  const [, example = ''] = /^```graphql\n(.*?)^```$/ms.exec(await readFile('docs/search.md', 'utf8')) ?? [];
  const chatId = await createGroup(ada, [grace]);
  await say(ada, chatId, 'The migration of https://cafe.example');
  await awaitIndex(server);
  const { searchMessages } = await grace.ask(example);
  expect(searchMessages.totalCount).toBe(1);
  expect(searchMessages.edges[0].ranges).toHaveLength(2);
});

test('a cursor from one sort order is refused in another', async () => {
  const chatId = await createGroup(ada, [grace]);
  for (const content of ['twig', 'twig']) await say(ada, chatId, content);
  const { pageInfo } = await search(grace, 'twig', { first: 1, filter: { chatId } });
  const { errors } = await grace.post(searchDocument, { query: 'twig', sort: 'OLDEST', after: pageInfo.endCursor });
  expect(errors).toMatchObject([{ extensions: { code: 'BAD_REQUEST' } }]);
});

test('a channel that becomes public is found at once, and one that becomes private is not', async () => {
  const chatId = (await createChat(ada, { type: 'PRIVATE_CHANNEL', name: 'opening', memberIds: [] })).id;
  await say(ada, chatId, 'gazebo');
  expect(await find(linus, 'gazebo')).toEqual([]);
  const change = (type: string) => server.sql.query('update chats set type = $1 where id = $2', [type, keyOf(chatId)]);
  await change('PUBLIC_CHANNEL');
  const { edges } = (await linus.ask(searchDocument, { query: 'gazebo' })).searchMessages;
  expect(edges).toHaveLength(1);
  expect(await find(linus, 'gazebo')).toEqual(['gazebo']);
  await change('PRIVATE_CHANNEL');
  expect(await find(linus, 'gazebo')).toEqual([]);
  expect(await find(ada, 'gazebo')).toEqual(['gazebo']);
});

test('a message that another transaction is changing is indexed afterwards, and delays no other', async () => {
  const chatId = await createGroup(ada, [grace]);
  const held = await server.sql.connect();
  await held.query('begin');
  const { rows } = await server.sql.query<{ id: bigint }>(
    `insert into messages (chat_id, sender_id, content) values ($1, $2, 'pelican') returning id`,
    [keyOf(chatId), keyOf(ada.userId)],
  );
  await held.query('select from messages where id = $1 for no key update', [rows[0]?.id]);
  await say(ada, chatId, 'flamingo');
  const found = (text: string) => async () =>
    (await grace.ask(searchDocument, { query: text, filter: { chatId } })).searchMessages.edges.length;
  await expect.poll(found('flamingo'), { timeout: 10_000 }).toBe(1);
  await held.query('rollback');
  held.release();
  await expect.poll(found('pelican'), { timeout: 10_000 }).toBe(1);
});

test('a deletion whose snapshot is older than the index leaves nothing in it either, and delays no other message', async () => {
  const chatId = await createGroup(ada, [grace]);
  const held = await server.sql.connect();
  await held.query('begin isolation level repeatable read');
  const { rows } = await server.sql.query<{ id: bigint }>(
    `insert into messages (chat_id, sender_id, content) values ($1, $2, 'gannet') returning id`,
    [keyOf(chatId), keyOf(ada.userId)],
  );
  await held.query('select from users');
  expect(await find(grace, 'gannet', { chatId })).toHaveLength(1);
  await held.query('delete from messages where id = $1', [rows[0]?.id]);
  await say(ada, chatId, 'curlew');
  await expect
    .poll(async () => (await grace.ask(searchDocument, { query: 'curlew', filter: { chatId } })).searchMessages.edges)
    .toHaveLength(1);
  await held.query('commit');
  held.release();
  await awaitIndex(server);
  const entries = await server.sql.query('select from search_entries where message_id = $1', [rows[0]?.id]);
  expect(entries.rows).toEqual([]);
});

test('messages that lose their sender are no longer found by that sender', async () => {
  const chatId = await createGroup(ada, [grace]);
  await say(ada, chatId, 'orphan');
  expect(await find(grace, 'orphan', { senderId: ada.userId })).toEqual(['orphan']);
  await server.sql.query('update messages set sender_id = null where chat_id = $1', [keyOf(chatId)]);
  expect(await find(grace, 'orphan', { senderId: ada.userId })).toEqual([]);
  const { rows } = await server.sql.query(
    `select from search_entries e join messages m on m.id = e.message_id where m.chat_id = $1 and tokens like $2`,
    [keyOf(chatId), `% @s${keyOf(ada.userId)} %`],
  );
  expect(rows).toEqual([]);
  expect(await find(grace, 'orphan', { chatId })).toEqual(['orphan']);
});

test('after the index is rebuilt, everything is found again, newest and oldest', async () => {
  const chatId = await createGroup(ada, [grace]);
  await server.sql.query(
    `insert into messages (chat_id, sender_id, content) select $1, $2, 'anew ' || n from generate_series(1, 1200) n`,
    [keyOf(chatId), keyOf(ada.userId)],
  );
  await awaitIndex(server);
  await server.sql.query('delete from search_entries');
  await server.sql.query('insert into search_chat_backlog (chat_id) select id from chats');
  expect(await find(grace, 'anew 1200', { chatId })).toEqual(['anew 1200']);
  expect(await find(grace, '"anew 1"', { chatId })).toEqual(['anew 1']);
  const { totalCount } = await look(grace, { query: 'anew', filter: { chatId } });
  expect(totalCount).toBe(1_000);
});

test('a message is found within a second of being sent, also one that another client wrote', async () => {
  const chatId = await createGroup(ada, [grace]);
  const untilFound = async (text: string, send: () => Promise<unknown>) => {
    const startedAt = performance.now();
    await send();
    const listFound = async () =>
      (await grace.ask(searchDocument, { query: text, filter: { chatId } })).searchMessages.edges;
    await expect.poll(listFound, { interval: 20 }).toHaveLength(1);
    return performance.now() - startedAt;
  };
  expect(await untilFound('heron', () => say(ada, chatId, 'a heron'))).toBeLessThan(1_000);
  const insert = `insert into messages (chat_id, sender_id, content) values ($1, $2, 'an egret')`;
  const values = [keyOf(chatId), keyOf(ada.userId)];
  expect(await untilFound('egret', () => server.sql.query(insert, values))).toBeLessThan(1_000);
});

test('messages with pictures are found apart from those with other files', async () => {
  const chatId = await createGroup(ada, [grace]);
  const attach = async (content: string, type: string) => {
    const { rows } = await server.sql.query<{ id: bigint }>(
      `insert into messages (chat_id, sender_id, content, file_count) values ($1, $2, $3, 1) returning id`,
      [keyOf(chatId), keyOf(ada.userId), content],
    );
    await server.sql.query(
      `with blob as (insert into blobs (hash, size, content_type, bytes) values (sha256($3::text::bytea), octet_length($3), $3, $3::text::bytea) returning hash)
      insert into files (uploader_id, blob_hash, name, message_id, place) select $1, hash, 'x', $2, 0 from blob`,
      [keyOf(ada.userId), rows[0]?.id, type],
    );
  };
  await attach('a sketch', 'image/webp');
  await attach('a table', 'text/csv');
  await say(ada, chatId, 'neither');
  expect(await find(grace, null, { chatId, has: 'PICTURE' })).toEqual(['a sketch']);
  expect(await find(grace, 'a', { chatId, has: 'PICTURE' })).toEqual(['a sketch']);
  expect(await find(grace, 'table', { chatId, has: 'PICTURE' })).toEqual([]);
  expect(await find(grace, null, { chatId, has: 'FILE' })).toEqual(['a table', 'a sketch']);
});

test('a user is not found by name once their account is being erased', async () => {
  const alan = await signUp(server, 'turing');
  await awaitIndex(server);
  const users = async () =>
    (await grace.ask('{ users(search: "turing") { edges { node { username } } } }')).users.edges;
  expect(await users()).toHaveLength(1);
  await server.sql.query('update users set deleted_at = now() where id = $1', [keyOf(alan.userId)]);
  expect(await users()).toEqual([]);
});
