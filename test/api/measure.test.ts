import fc from 'fast-check';
import { execute, getIntrospectionQuery, parse } from 'graphql';
import { describe, expect, test } from 'vitest';
import { DocumentCache } from '../../src/api/document.ts';
import { eventLimits, measureOperation, operationLimits, type Measure } from '../../src/api/measure.ts';
import { schema } from '../../src/edges.ts';
import { createGroup, say } from '../support/chat.ts';
import { signUp } from '../support/client.ts';
import { sharedServer } from '../support/shared-server.ts';

const documents = new DocumentCache(schema);

function measure(source: string, variables: Record<string, unknown> = {}): Measure {
  const prepared = documents.prepare(source, null, { isKnown: true });
  if ('errors' in prepared) throw prepared.errors[0] ?? new Error('refused');
  const measured = measureOperation(schema, prepared, variables);
  if (measured === null) throw new Error('the variables do not fit');
  return measured;
}

const isAllowed = (measured: Measure, limits = operationLimits) =>
  (['depth', 'breadth', 'complexity', 'bytes'] as const).every((name) => measured[name] <= limits[name]);

const times = (count: number, prefix: string, text: string) =>
  Array.from({ length: count }, (_, i) => `${prefix}${i}: ${text}`).join(' ');

/**
 * Nests aliases on three levels of introspection, which makes a short document whose response grows with the third
 * power of `n`.
 */
const bomb = (n: number) => `{ __schema { ${times(n, 't', 'types { ...T }')} } }
  fragment T on __Type { ${times(n, 'f', 'fields { ...F }')} } fragment F on __Field { ${times(n, 'n', 'name')} }`;

describe('what is allowed:', () => {
  const flags = [true, false];

  test('the introspection queries of stock tools', () => {
    for (const descriptions of flags) {
      for (const inputValueDeprecation of flags) {
        for (const typeDepth of [7, 9]) {
          const query = getIntrospectionQuery({
            descriptions,
            inputValueDeprecation,
            specifiedByUrl: descriptions,
            schemaDescription: descriptions,
            directiveIsRepeatable: inputValueDeprecation,
            typeDepth,
          });
          expect(isAllowed(measure(query))).toBe(true);
        }
      }
    }
  });

  test('a page of 100 messages with senders, replies, reactions and files', () => {
    const page = `{ node(id: "x") { ... on Chat { messages(last: 100) {
      pageInfo { hasPreviousPage startCursor }
      edges { cursor node {
        id seq kind content createdAt editedAt deletedAt
        sender { id username displayName }
        replyTo { id content sender { username } }
        reactions { emoji count viewerReacted }
        files { id name contentType size url width height }
      } }
    } } } }`;
    expect(isAllowed(measure(page))).toBe(true);
  });

  test('a list of chats with the newest message of each', () => {
    const list = `query ($first: Int!) { viewer { eventCursor chats(first: $first) { edges { node {
      id type name description lastSeq viewerMembership { unreadCount lastReadSeq }
      messages(last: 1) { edges { node { id content sender { username displayName } } } }
    } } } } }`;
    expect(isAllowed(measure(list, { first: 100 }))).toBe(true);
  });

  test('every event with all its scalar fields, plain and with __typename everywhere', () => {
    const fields =
      'id seq kind content createdAt editedAt deletedAt clientMessageId sender { id username displayName }';
    const message = (more: string) => `message { ${more} ${fields} }`;
    const document = (more: string) => `subscription { events { ${more} cursor at event { __typename
      ... on NewMessage { ${message(more)} } ... on MessageEdited { ${message(more)} }
      ... on MessageDeleted { ${message(more)} } ... on ChatDeleted { chatId }
      ... on ReactionsChanged { ${message(more)} emoji count userId added }
      ... on NewChat { chat { ${more} id name description type lastSeq memberCount } }
      ... on ChatUpdated { chat { ${more} id name description type lastSeq memberCount } }
      ... on AddToChat { chat { ${more} id name } addedCount members { ${more} id role user { ${more} id username } } }
      ... on UserUpdated { user { ${more} id username displayName createdAt } }
      ... on CaughtUp { replayed } ... on Reset { reason }
    } } }`;
    expect(isAllowed(measure(document('')), eventLimits)).toBe(true);
    expect(isAllowed(measure(document('__typename')), eventLimits)).toBe(true);
  });
});

describe('the measure', () => {
  test('counts each text at its maximum length', () => {
    expect(measure('{ node(id: "x") { ... on Message { content } } }').bytes).toBeGreaterThan(40_000);
    const page = (first: number) =>
      measure(`{ searchMessages(query: "x", first: ${first}) { edges { node { content } } } }`).bytes;
    expect(page(100) / page(10)).toBeCloseTo(10, 1);
  });

  test('uses the variables of a request, and defaults', () => {
    const query = 'query ($first: Int = 20) { viewer { chats(first: $first) { edges { node { id } } } } }';
    expect(measure(query, { first: 100 }).complexity).toBe(5 * measure(query).complexity - 8);
    expect(measure(query, { first: 1 }).complexity).toBeLessThan(measure(query).complexity);
  });

  test('counts a field with invalid arguments as an error, and counts the fields beside it', () => {
    const page = 'viewer { chats(first: 100) { edges { node { id } } } }';
    const misfit = `query ($ids: [ID!] = []) { nodes(ids: $ids) { id } ${page} }`;
    expect(measure(misfit, { ids: null }).complexity).toBe(1 + measure(`{ ${page} }`).complexity);
  });

  test('counts a union as its largest member, not as the sum of its members', () => {
    const one = measure('subscription { events { event { ... on NewMessage { message { content } } } } }');
    const two = measure(`subscription { events { event {
      ... on NewMessage { message { content } } ... on MessageEdited { message { content } }
    } } }`);
    expect(two.bytes).toBe(one.bytes);
  });

  test('is never below the size of an introspection’s answer, and seldom far above it', async () => {
    await fc.assert(
      fc.asyncProperty(introspections, async (query) => {
        const prepared = documents.prepare(query, null, { isKnown: true });
        if ('errors' in prepared) return;
        const measured = measure(query);
        if (!isAllowed(measured)) return;
        const answer = JSON.stringify(await execute({ schema, document: parse(query) }));
        expect(measured.bytes, query).toBeGreaterThanOrEqual(Buffer.byteLength(answer));
      }),
      { numRuns: 150 },
    );
    const deep = '{ __schema { types { name fields { name args { name } type { name ofType { name } } } } } }';
    const answer = JSON.stringify(await execute({ schema, document: parse(deep) }));
    expect(measure(deep).bytes).toBeLessThan(2 * answer.length);
  });

  test('takes time linear in the length of the document, whatever is in it', () => {
    const chain = (n: number) =>
      `{ ...f0 } ${Array.from({ length: n }, (_, i) => `fragment f${i} on Query { ...f${i + 1} ...f${i + 1} }`).join(' ')}
      fragment f${n} on Query { __typename }`;
    const spreads = (n: number) => `{ ${'...f '.repeat(n)} } fragment f on Query { __schema { types { ...t ...t } } }
      fragment t on __Type { fields { name type { ofType { name } } } }`;
    const unions = (n: number) =>
      `subscription { events { event { ${'... on NewMessage { message { content } } '.repeat(n)} } } }`;
    const argued = (n: number) =>
      `query ($n: Int) { ${times(n, 'a', 'users(search: "x", first: $n) { edges { cursor } }')} }`;
    for (const make of [chain, spreads, unions, argued]) {
      // This is nearly the largest document that the token limit allows.
      const prepared = documents.prepare(make(Math.floor(1_900 / tokensOf(make))), null, { isKnown: false });
      if ('errors' in prepared) throw prepared.errors[0] ?? new Error('refused');
      // Use a different operation each time, because measurements are cached.
      const spent = leastTime(() => {
        const { document, operation } = prepared;
        measureOperation(schema, { document, operation: { ...operation } }, {});
      });
      expect(spent, make(2)).toBeLessThan(20);
    }
  });
});

/** Returns the minimum of a few tries, in ms of CPU time, which excludes other work on the machine. */
function leastTime(work: () => unknown): number {
  const tries = Array.from({ length: 3 }, () => {
    const before = process.cpuUsage();
    work();
    const { user, system } = process.cpuUsage(before);
    return (user + system) / 1_000;
  });
  return Math.min(...tries);
}

/** Returns one more than the number of tokens that the document gains when `n` grows by one. */
function tokensOf(make: (n: number) => string): number {
  const count = (text: string) => text.match(/\w+|\.\.\.|[^\s\w]/g)?.length ?? 0;
  return count(make(11)) - count(make(10)) + 1;
}

const named = fc.constantFrom('name', 'description', 'n: name', '__typename');
const { query: introspections } = fc.letrec<Record<'type' | 'field' | 'value' | 'query', string>>((tie) => ({
  value: fc
    .array(fc.oneof(named, fc.constantFrom('defaultValue', 'type { name kind }')), { minLength: 1, maxLength: 3 })
    .map((parts) => `{ ${[...new Set(parts)].join(' ')} }`),
  field: fc
    .array(
      fc.oneof(
        named,
        tie('value').map((value) => `args ${value}`),
        tie('type').map((type) => `type ${type}`),
      ),
      {
        minLength: 1,
        maxLength: 3,
      },
    )
    .map((parts) => `{ ${parts.map((part, i) => (part.includes('{') ? `f${i}: ${part}` : part)).join(' ')} }`),
  type: fc
    .array(
      fc.oneof(
        { depthSize: 'small' },
        named,
        fc.constantFrom(
          'kind',
          'enumValues { name description }',
          'interfaces { name }',
          'possibleTypes { name kind }',
        ),
        tie('field').map((field) => `fields(includeDeprecated: true) ${field}`),
        tie('value').map((value) => `inputFields ${value}`),
        tie('type').map((type) => `ofType ${type}`),
      ),
      { minLength: 1, maxLength: 3 },
    )
    .map((parts) => `{ ${parts.map((part, i) => (part.includes('{') ? `t${i}: ${part}` : part)).join(' ')} }`),
  query: fc.oneof(
    tie('type').map(
      (type) => `{ __schema { types ${type} queryType { name } directives { name locations args { name } } } }`,
    ),
    tie('type').map((type) => `{ __type(name: "Message") ${type} }`),
  ),
}));

describe('an operation that is too large is refused before any of it is executed,', async () => {
  const server = await sharedServer();
  const ada = await signUp(server, 'ada');
  const json = { 'content-type': 'application/json', authorization: `Bearer ${ada.token}` };
  const countPeople = async () => Number((await server.sql.query('select count(*) from users')).rows[0].count);

  const post = (path: string, query: string, accept: string) =>
    fetch(server.url + path, { method: 'POST', headers: { ...json, accept }, body: JSON.stringify({ query }) });
  const get = (path: string, query: string, accept: string) =>
    fetch(`${server.url}${path}?${new URLSearchParams({ query })}`, { headers: { ...json, accept } });
  const upload = (query: string) => {
    const form = new FormData();
    form.append('operations', JSON.stringify({ query, variables: {} }));
    form.append('map', '{}');
    return fetch(`${server.url}/graphql`, {
      method: 'POST',
      headers: { authorization: `Bearer ${ada.token}`, 'graphql-require-preflight': '1' },
      body: form,
    });
  };
  /** Sends a query in single connection mode, in which the result of the query arrives on the stream. */
  const single = async (query: string) => {
    const reserved = await fetch(`${server.url}/graphql/stream`, { method: 'PUT', headers: json });
    const headers = { ...json, 'x-graphql-event-stream-token': await reserved.text() };
    const given = await fetch(`${server.url}/graphql/stream`, {
      method: 'POST',
      headers: { ...headers, accept: 'application/json' },
      body: JSON.stringify({ query, extensions: { operationId: 'a' } }),
    });
    expect(given.status).toBe(202);
    const hangUp = new AbortController();
    const stream = await fetch(`${server.url}/graphql/stream`, {
      headers: { ...headers, accept: 'text/event-stream' },
      signal: hangUp.signal,
    });
    let text = '';
    for await (const chunk of stream.body ?? []) {
      text += Buffer.from(chunk).toString();
      if (text.includes('event: complete')) break;
    }
    hangUp.abort();
    return new Response(text);
  };

  const ways: [string, (query: string) => Promise<Response>][] = [
    ['POST', (query) => post('/graphql', query, 'application/json')],
    ['GET', (query) => get('/graphql', query, 'application/json')],
    ['POST with urql’s Accept', (query) => post('/graphql', query, 'application/json, text/event-stream')],
    ['a distinct stream', (query) => post('/graphql/stream', query, 'text/event-stream')],
    ['a distinct stream by GET', (query) => get('/graphql/stream', query, 'text/event-stream')],
    ['Apollo’s multipart', (query) => post('/graphql', query, 'multipart/mixed;subscriptionSpec=1.0')],
    ['a single connection', single],
    ['an upload', upload],
  ];

  test.each(ways)('by %s', async (_, ask) => {
    const wide = `{ viewer { chats(first: 100) { edges { node { messages(first: 100) { edges { node { content } } } } } } } }`;
    for (const query of [bomb(16), bomb(45), wide]) {
      const text = await (await ask(query)).text();
      expect(text).toMatch(/The operation is too large: its [a-z ]+, \d+, is over the limit of \d+\./);
      expect(text).not.toContain('"data":{');
      expect(text.length).toBeLessThan(1_000);
    }
    expect((await ask('{ __typename }')).ok).toBe(true);
  });

  test('even beside a field with invalid arguments', async () => {
    const misfit = `query ($ids: [ID!] = []) { nodes(ids: $ids) { id } ${bomb(16).slice(2)}`;
    const { data, errors } = await server.post(misfit, { ids: null });
    expect(data).toBe(undefined);
    expect(errors?.[0]?.message).toMatch(/too large/);
  });

  test('within half a second if its variables have more fields than any input has', async () => {
    const signIn = 'mutation ($i: SignInInput!) { signIn(input: $i) { __typename } }';
    const many = (count: number) => Object.fromEntries(Array.from({ length: count }, (_, i) => [`sendMessage${i}`, 1]));
    const nested = Object.fromEntries(Array.from({ length: 100 }, (_, i) => [`input${i}`, many(100)]));
    for (const i of [many(10_000), nested, Array.from({ length: 2_000 }, () => ({ email: 1 }))]) {
      const start = performance.now();
      const { data, errors } = await server.post(signIn, { i });
      expect(performance.now() - start).toBeLessThan(500);
      expect(data).toBe(undefined);
      expect(errors?.map(({ message }) => message)).toStrictEqual([
        'The operation is too large: the objects in its variables have more than 1000 fields.',
      ]);
    }
    const { errors } = await server.post(signIn, { i: many(900) });
    expect(errors?.length).toBeLessThan(20);
    expect(errors?.[0]?.message).toContain('email');
  });

  test('even if it is a mutation', async () => {
    const before = await countPeople();
    const mutation = `mutation { ${times(
      9,
      'm',
      `signUp(input: { username: "linus", email: "linus@example.com", password: "wrote a kernel" }) {
      ... on SignedIn { viewer { chats(first: 100) { edges { node { messages(first: 100) { edges { node { content } } } } } } } }
    }`,
    )} }`;
    const { data, errors } = await server.post(mutation);
    expect(data).toBe(undefined);
    expect(errors?.[0]?.message).toMatch(/too large/);
    expect(await countPeople()).toBe(before);
  });

  test('while an answer that is as large as possible is never larger than its measure', async () => {
    const chatId = await createGroup(ada, [await signUp(server, 'grace')]);
    await say(ada, chatId, '🐙'.repeat(10_000));
    const query = `query ($id: ID!) { node(id: $id) { ... on Chat { messages(last: 1) { edges { cursor node {
      id content createdAt sender { username displayName } } } } } } }`;
    const answer = JSON.stringify({ data: await ada.ask(query, { id: chatId }) });
    expect(Buffer.byteLength(answer)).toBeGreaterThan(40_000);
    expect(Buffer.byteLength(answer)).toBeLessThanOrEqual(measure(query, { id: chatId }).bytes);
  });
});
