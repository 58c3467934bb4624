import { randomBytes } from 'node:crypto';
import pg from 'pg';
import { expect, inject, onTestFinished, test } from 'vitest';
import mentionCases from '../message/cases/mentions.json' with { type: 'json' };
import searchCases from '../search/cases/search.json' with { type: 'json' };
import textCases from '../core/cases/text.json' with { type: 'json' };
import { encodeId } from '../../src/core/id.ts';
import { isVisible } from '../../src/core/text.ts';
import { createGroup, keyOf, say } from '../support/chat.ts';
import { signUp, type Data, type Person } from '../support/client.ts';
import { openDatabase, type TestDatabase } from '../support/database.ts';
import { debianPrograms, startDebianPostgres } from '../support/debian-postgres.ts';
import { readMessage } from '../support/message.ts';
import { awaitIndex } from '../support/search.ts';
import { startServer, type TestServer } from '../support/server.ts';
import { owner } from '../support/template.ts';

/** Creates an empty database in the bundled PostgreSQL with this locale. */
async function createLocalizedDatabase(locale: string): Promise<TestDatabase> {
  const name = `localized_${randomBytes(6).toString('hex')}`;
  await run(
    inject('postgresUrl'),
    `create database ${name} encoding 'UTF8' ${locale} template template0 owner ${owner.name}`,
  );
  const url = new URL(inject('postgresUrl'));
  url.pathname = name;
  return openDatabase(url.href, () => run(inject('postgresUrl'), `drop database ${name} with (force)`));
}

/** Creates an empty database in Debian's PostgreSQL. */
async function createDebianDatabase(): Promise<TestDatabase> {
  const { url } = await startDebianPostgres();
  const sql = new pg.Pool({ connectionString: url, max: 4 });
  sql.on('error', () => {});
  const drop = () => sql.end();
  return { url, sql, drop, [Symbol.asyncDispose]: drop };
}

async function run(url: string, statement: string): Promise<void> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    await client.query(statement);
  } finally {
    await client.end();
  }
}

const searchDocument = `query ($query: String!, $filter: MessageFilter) {
  searchMessages(query: $query, filter: $filter) { totalCount edges { snippet ranges { start end } } }
}`;

/**
 * Returns the cases whose result differs from the expected one. Each text is in a separate chat, and is inserted
 * directly into the database.
 */
async function listWrongSearches(server: TestServer, by: Person): Promise<unknown[]> {
  const { rows } = await server.sql.query<{ id: string }>(
    `insert into chats (type, name) select 'GROUP', 'case' from generate_series(1, $1::int) returning id::text as id`,
    [searchCases.length],
  );
  const chats = rows.map(({ id }) => id);
  await server.sql.query('insert into members (chat_id, user_id) select id, $2 from unnest($1::bigint[]) id', [
    chats,
    keyOf(by.userId),
  ]);
  await server.sql.query(
    `insert into messages (chat_id, sender_id, content)
    select id, $3, content from unnest($1::bigint[], $2::text[]) as c (id, content)`,
    [chats, searchCases.map(({ text }) => text), keyOf(by.userId)],
  );
  await awaitIndex(server);
  const wrong: unknown[] = [];
  for (const [index, each] of searchCases.entries()) {
    const filter = { chatId: encodeId('Chat', BigInt(chats[index] ?? 0)) };
    const { totalCount, edges } = (await by.ask(searchDocument, { query: each.query, filter })).searchMessages;
    const isRight = edges.length === (each.found ? 1 : 0) && totalCount === edges.length;
    const isExcluding = edges.every(({ ranges }: Data) => ranges.length === 0);
    if (!isRight || (each.found && isExcluding && !/(^|\s)-/.test(each.query))) wrong.push(each);
  }
  return wrong;
}

async function listWrongMentions(server: TestServer, by: Person): Promise<unknown[]> {
  const others = [await signUp(server, 'bob'), await signUp(server, 'o.neil')];
  const chat = await createGroup(by, others);
  const wrong: unknown[] = [];
  for (const each of mentionCases) {
    const { mentions } = await readMessage(by, await say(by, chat, each.text));
    const names = mentions.flatMap(({ isEveryone, user }: Data) => (isEveryone ? [] : [user.username]));
    const isEveryone = mentions.some((mention: Data) => mention.isEveryone);
    if (names.toSorted().join() !== each.mentions.toSorted().join() || isEveryone !== each.everyone) {
      wrong.push({ ...each, names, isEveryone });
    }
  }
  return wrong;
}

const signingUp = 'mutation ($input: SignUpInput!) { signUp(input: $input) { __typename } }';
const naming = 'mutation ($input: UpdateProfileInput!) { updateProfile(input: $input) { __typename } }';
const creating = 'mutation ($input: CreateChatInput!) { createChat(input: $input) { __typename } }';
const sending = 'mutation ($input: SendMessageInput!) { sendMessage(input: $input) { __typename } }';

/** Returns the text cases that fail through the API. */
async function listWrongTexts(server: TestServer, by: Person): Promise<unknown[]> {
  const chatId = await createGroup(by, [await signUp(server, 'grace')]);
  const account = (index: number) => ({
    username: `texts${index}`,
    email: `texts${index}@example.com`,
    password: 'correct horse battery staple 7',
  });
  const requests: Record<string, (text: string, index: number) => [string, object]> = {
    message: (content) => [sending, { chatId, content }],
    displayName: (displayName) => [naming, { displayName }],
    chatName: (name) => [creating, { type: 'PRIVATE_CHANNEL', name, memberIds: [] }],
    username: (username, index) => [signingUp, { ...account(index), username }],
    email: (email, index) => [signingUp, { ...account(index), email }],
  };
  const wrong: unknown[] = [];
  for (const [index, { field, text, times, ok }] of textCases.entries()) {
    const [document, input] = requests[field]?.(text.repeat(times ?? 1), index) ?? ['', {}];
    const { data, errors } = await by.post(document, { input });
    const [result] = Object.values<Data>(data ?? {});
    const isAccepted = errors === undefined && result?.__typename !== 'InvalidInput';
    if (isAccepted !== ok) wrong.push({ field, text, ok, result });
  }
  return wrong;
}

/** Returns the characters that the database and the program treat differently. */
async function listDisputedCharacters({ sql }: TestDatabase): Promise<number[]> {
  const { rows } = await sql.query<{ code: number; isVisible: boolean }>(
    `select code, displays_something(chr(code)) as "isVisible"
    from generate_series(1, 1114111) code where code not between 55296 and 57343`,
  );
  return rows.filter((row) => isVisible(String.fromCodePoint(row.code)) !== row.isVisible).map(({ code }) => code);
}

type Creation = [name: string, create: () => Promise<TestDatabase>];
const onDebian: Creation = ['of Debian, PostgreSQL 15 or newer', createDebianDatabase];
const databases: Creation[] = [
  ['with LC_CTYPE C.UTF-8', () => createLocalizedDatabase(`lc_collate 'C' lc_ctype 'C.UTF-8'`)],
  [
    'with an ICU locale',
    () => createLocalizedDatabase(`locale_provider icu icu_locale 'de-DE' lc_collate 'C' lc_ctype 'C'`),
  ],
  ...(debianPrograms === null ? [] : [onDebian]),
];

test.each(databases)('all cases of search, mentions and texts hold on a database %s', async (_, create) => {
  const database = await create();
  onTestFinished(() => database.drop());
  const server = await startServer({ database });
  const ada = await signUp(server, 'ada');
  expect(await listWrongSearches(server, ada)).toEqual([]);
  expect(await listWrongMentions(server, ada)).toEqual([]);
  expect(await listWrongTexts(server, ada)).toEqual([]);
  expect(await listDisputedCharacters(database)).toEqual([]);
});
