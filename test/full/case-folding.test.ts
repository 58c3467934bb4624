import { randomBytes } from 'node:crypto';
import fc from 'fast-check';
import pg from 'pg';
import { expect, inject, test } from 'vitest';
import { signUp } from '../support/client.ts';
import { createDatabase, openDatabase, type TestDatabase } from '../support/database.ts';
import { createGroup, say } from '../support/chat.ts';
import { atFileEnd } from '../support/file-end.ts';
import { awaitIndex } from '../support/search.ts';
import { startServer } from '../support/server.ts';
import { owner } from '../support/template.ts';

/** Creates an empty database in which `i` becomes `İ` in upper case, and `I` becomes `ı` in lower case. */
async function createTurkishDatabase(): Promise<TestDatabase> {
  const name = `turkish_${randomBytes(6).toString('hex')}`;
  await run(
    `create database ${name} encoding 'UTF8' locale_provider icu icu_locale 'tr-TR'
    lc_collate 'C' lc_ctype 'C' template template0 owner ${owner.name}`,
  );
  const url = new URL(inject('postgresUrl'));
  url.pathname = name;
  const database = openDatabase(url.href, () => run(`drop database ${name} with (force)`));
  atFileEnd(database.drop);
  return database;
}

async function run(statement: string): Promise<void> {
  const client = new pg.Client({ connectionString: inject('postgresUrl') });
  await client.connect();
  try {
    await client.query(statement);
  } finally {
    await client.end();
  }
}

const signUpAs = `mutation ($input: SignUpInput!) { signUp(input: $input) { __typename } }`;
const signInAs = `mutation ($input: SignInInput!) { signIn(input: $input) { __typename } }`;

test('names, addresses and words have the same case mapping in a Turkish database', async () => {
  const database = await createTurkishDatabase();
  expect((await database.sql.query(`select lower('I') as lower`)).rows).toEqual([{ lower: 'ı' }]);
  const server = await startServer({ database });
  const password = 'correct horse battery staple 7';
  const input = { username: 'INGRID', email: 'INFO@EXAMPLE.COM', displayName: 'IRIS', password };
  expect(await server.ask(signUpAs, { input })).toEqual({ signUp: { __typename: 'SignedIn' } });
  expect(await server.ask(signInAs, { input: { email: 'info@example.com', password } })).toEqual({
    signIn: { __typename: 'SignedIn' },
  });
  for (const taken of [{ username: 'ingrid' }, { email: 'info@example.com' }]) {
    const second = { ...input, username: 'second', email: 'second@example.com', ...taken };
    expect(await server.ask(signUpAs, { input: second })).toEqual({ signUp: { __typename: 'Conflict' } });
  }

  const ada = await signUp(server, 'ada');
  const grace = await signUp(server, 'grace');
  const linus = await signUp(server, 'linus');
  const find = async (search: string) => {
    const { users } = await ada.ask(
      'query ($search: String!) { users(search: $search, first: 5) { edges { node { username } } } }',
      { search },
    );
    return users.edges.map((edge: { node: { username: string } }) => edge.node.username);
  };
  expect(await find('ing')).toEqual(['INGRID']);
  expect(await find('iri')).toEqual(['INGRID']);

  const chat = await createGroup(ada, [grace, linus]);
  await say(ada, chat, 'PLEASE INSIST');
  await awaitIndex(server);
  const { searchMessages } = await ada.ask(
    '{ searchMessages(query: "insist", first: 5) { edges { node { content } } } }',
  );
  expect(searchMessages.edges).toMatchObject([{ node: { content: 'PLEASE INSIST' } }]);
});

/**
 * Folds a text letter by letter, with Unicode's simple mapping: `İ` is one letter, and a sigma has no special form at
 * the end of a word.
 */
function foldLetters(text: string): string {
  return Array.from(text, (letter) => {
    const folded = letter === 'İ' ? 'i' : letter.toLowerCase();
    return [...folded].length === 1 ? folded : letter;
  }).join('');
}

test('every Unicode letter is mapped to its lowercase form', async () => {
  await using database = await createDatabase();
  const fold = async (text: string) =>
    (await database.sql.query<{ folded: string }>('select fold($1) as folded', [text])).rows[0]?.folded;
  const letters = Array.from({ length: 0x1_ffff }, (_, index) => String.fromCodePoint(index + 1)).filter((letter) =>
    /^\p{L}$/u.test(letter),
  );
  const capitals = letters.filter((letter) => foldLetters(letter) !== letter);
  expect(capitals.length).toBeGreaterThan(1_300);
  for (let start = 0; start < capitals.length; start += 200) {
    const some = capitals.slice(start, start + 200).join('');
    expect(await fold(some)).toBe(foldLetters(some));
  }
  await fc.assert(
    fc.asyncProperty(fc.string({ unit: 'grapheme', maxLength: 30 }), async (text) => {
      fc.pre(!text.includes('\0') && text.isWellFormed());
      expect(await fold(text)).toBe(foldLetters(text));
    }),
    { numRuns: 200 },
  );
});
