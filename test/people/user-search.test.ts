import { beforeAll, expect, test } from 'vitest';
import { signUp, type Data, type Person } from '../support/client.ts';
import { createGroup } from '../support/chat.ts';
import { awaitIndex, withoutIndexing } from '../support/search.ts';
import { startServer, type TestServer } from '../support/server.ts';

let server: TestServer;
let ada: Person;
beforeAll(async () => {
  server = await startServer();
  ada = await signUp(server, 'ada');
});

const insertPeople = (people: [username: string, displayName: string | null][]) =>
  server.sql.query(
    `insert into users (username, email, display_name)
    select username, username || '@example.com', display_name from unnest($1::text[], $2::text[]) as p (username, display_name)`,
    [people.map(([username]) => username), people.map(([, displayName]) => displayName)],
  );

async function search(text: string, more: { first?: number; after?: string } = {}): Promise<Data> {
  const document = `query ($text: String!, $first: Int, $after: String) {
    users(search: $text, first: $first, after: $after) {
      edges { cursor node { username } } pageInfo { hasNextPage hasPreviousPage endCursor }
    }
  }`;
  return (await ada.ask(document, { text, ...more })).users;
}

const namesIn = ({ edges }: Data): string[] => edges.map(({ node }: Data) => node.username);
const find = async (text: string) => namesIn(await search(text));

test('users are found by the beginning of any part of their names, in any case', async () => {
  await insertPeople([
    ['grace', 'Amazing Grace'],
    ['Gracchus', null],
    ['ograce', 'someone else'],
    ['gruber', 'GRACIOUS'],
  ]);
  expect(await find('grac')).toEqual(['Gracchus', 'grace', 'gruber']);
  expect(await find('GRACE')).toEqual(['grace']);
  expect(await find('@grace')).toEqual(['grace']);
  expect(await find(' amazing g')).toEqual(['grace']);
  expect(await find('else some')).toEqual(['ograce']);
  expect(await find('race')).toEqual([]);
  expect(await find('example.com')).toEqual([]);
});

test('a user with exactly that name comes first', async () => {
  await insertPeople([
    ['linus2', null],
    ['linus_t', 'Linus'],
    ['linus', null],
    ['linusb', null],
  ]);
  expect(await find('linus')).toEqual(['linus', 'linus_t', 'linus2', 'linusb']);
});

test('characters that are special in other searches have no special meaning', async () => {
  await insertPeople([
    ['percent1', '100% sure'],
    ['percent2', '100 sure'],
    ['under_score', null],
    ['underXscore', null],
    ['back1', 'back\\slash'],
    ['quote1', "o'quote"],
  ]);
  expect(await find('100%')).toEqual(['percent1', 'percent2']);
  expect(await find('under_sc')).toEqual(['under_score']);
  expect(await find('back\\')).toEqual(['back1']);
  expect(await find("o'q")).toEqual(['quote1']);
  expect(await find('%')).toEqual([]);
  expect(await find('_')).toEqual([]);
});

test('an empty search finds no one, and text that no name can begin with is refused', async () => {
  expect(await find('')).toEqual([]);
  expect(await find('  ')).toEqual([]);
  const refused = async (text: string) =>
    (await ada.post('query ($text: String!) { users(search: $text) { edges { cursor } } }', { text })).errors;
  expect(await refused('x'.repeat(64))).toBeUndefined();
  for (const text of ['x'.repeat(65), 'a\u0000', 'a\nb', '\ud800']) {
    expect(await refused(text)).toMatchObject([{ extensions: { code: 'BAD_REQUEST' } }]);
  }
});

test('a long list is paged, with each user once', async () => {
  const usernames = Array.from({ length: 25 }, (_, index) => `page${String(index).padStart(2, '0')}`);
  // Some users match by their username and others by their display name, which many of them share.
  await insertPeople(usernames.map((username, index) => [username, index % 3 === 0 ? 'Page' : null]));
  await insertPeople(Array.from({ length: 10 }, (_, index) => [`other${index}`, 'Page']));
  const found: string[] = [];
  let after: string | undefined;
  for (;;) {
    const page = await search('page', { first: 7, ...(after !== undefined && { after }) });
    expect(page.pageInfo.hasPreviousPage).toBe(after !== undefined);
    found.push(...namesIn(page));
    if (!page.pageInfo.hasNextPage) break;
    after = page.pageInfo.endCursor;
  }
  expect(found).toHaveLength(35);
  expect(new Set(found).size).toBe(35);
  // Users whose names contain "page" as a whole word come first.
  const isWhole = (name: string) => name.startsWith('other') || Number(name.slice(4)) % 3 === 0;
  const wholeCount = found.filter(isWhole).length;
  expect(found.slice(0, wholeCount).every(isWhole)).toBe(true);
  expect(found.slice(wholeCount)).toEqual(usernames.filter((name) => !isWhole(name)));
  const { errors } = await ada.post('{ users(search: "page", after: "nonsense") { edges { cursor } } }');
  expect(errors).toMatchObject([{ extensions: { code: 'BAD_REQUEST' } }]);
});

test('users who share a chat with the viewer come first, and names in other scripts are found without accents', async () => {
  await insertPeople([
    ['zoe1', 'Zoë Müller'],
    ['zoe2', 'Zoe'],
    ['wang', '王小明'],
    ['JaneDoe', null],
  ]);
  await awaitIndex(server);
  const friend = await signUp(server, 'zoezoe');
  expect(await find('zoe')).toEqual(['zoe1', 'zoe2', 'zoezoe']);
  await createGroup(ada, [friend]);
  expect(await find('zoe')).toEqual(['zoezoe', 'zoe1', 'zoe2']);
  expect(await find('muller')).toEqual(['zoe1']);
  expect(await find('小明')).toEqual(['wang']);
  expect(await find('doe')).toEqual(['JaneDoe']);
  await server.sql.query(`update users set display_name = 'Renamed' where username = 'wang'`);
  expect(await find('renam')).toEqual(['wang']);
  expect(await find('小明')).toEqual([]);
  await awaitIndex(server);
  expect(await find('renam')).toEqual(['wang']);
});

test('a user who has just changed their name is found by the new one only', async () => {
  await insertPeople([['renamed', 'Formerly']]);
  await awaitIndex(server);
  await withoutIndexing(server, async () => {
    await server.sql.query(`update users set display_name = 'Presently' where username = 'renamed'`);
    expect(await find('presently')).toEqual(['renamed']);
    expect(await find('formerly')).toEqual([]);
  });
});

test('searching requires a signed-in user', async () => {
  const { errors } = await server.post('{ users(search: "ada") { edges { cursor } } }');
  expect(errors).toMatchObject([{ extensions: { code: 'UNAUTHENTICATED' } }]);
});

test('a user is found by their exact name, whatever its case, and not by a part of it', async () => {
  await insertPeople([['Exact.Name', 'Someone']]);
  const userOf = async (username: string) =>
    (await ada.ask('query ($username: String!) { user(username: $username) { username } }', { username })).user;
  expect(await userOf('Exact.Name')).toEqual({ username: 'Exact.Name' });
  expect(await userOf('exact.name')).toEqual({ username: 'Exact.Name' });
  for (const other of ['Exact.Nam', 'Exact', 'Someone', '', 'x'.repeat(10_000), '\0'])
    expect(await userOf(other)).toBeNull();
  await server.sql.query(`update users set deleted_at = now() where username = 'Exact.Name'`);
  expect(await userOf('Exact.Name')).toBeNull();
  const { errors } = await server.post('{ user(username: "ada") { id } }');
  expect(errors?.[0]?.extensions).toEqual({ code: 'UNAUTHENTICATED' });
});
