import { getNamedType, isLeafType, isObjectType, type GraphQLObjectType, type GraphQLUnionType } from 'graphql';
import { expect, test, vi } from 'vitest';
import { schema } from '../../../src/edges.ts';
import { createGroup, say } from '../../support/chat.ts';
import { signUp } from '../../support/client.ts';
import { startServer } from '../../support/server.ts';
import { completed, give, openReserved, reserve, takeBack } from '../../support/single.ts';
import { eventOf, eventsDocument, followEvents, openStream } from '../../support/stream.ts';

/**
 * Selects a page of 100 messages with each event, so that an event is as complex as the page. Each name makes a
 * different document.
 */
const page = (name: string, fields: string) => `subscription ${name} { events { cursor event { __typename
  ... on NewMessage { message { chat { messages(last: 100) { edges { node { ${fields} } } } } } } } } }`;
const tenFields = 'id seq kind createdAt editedAt deletedAt clientMessageId a: id b: id c: id';
const complexity = 1_207;

const refusal = (sum: number, limit: number, price = complexity, setting = 'MAX_SUBSCRIPTION_COMPLEXITY') => ({
  message:
    `Too many subscriptions: with this one, which counts as ${price}, the total complexity per event of your ` +
    `subscriptions on this server is ${sum}; the limit is ${limit} (${setting}).`,
  extensions: { code: 'RATE_LIMITED', retryAfterSeconds: 5 },
});

/** Returns the error that ends a stream immediately. */
async function refusalOf(node: { url: string }, by: { token: string }, document: string) {
  await using stream = await openStream(node, by, document);
  const frames = await stream.ended();
  expect(frames.map(({ event }) => event)).toEqual(['next', 'complete']);
  return frames[0]?.data.errors[0];
}

test('the total complexity of a person’s subscriptions is limited, across all sessions and ways to subscribe', async () => {
  await using server = await startServer({ env: { MAX_SUBSCRIPTION_COMPLEXITY: '3000' } });
  const [ada, grace] = [await signUp(server, 'ada'), await signUp(server, 'grace')];
  const { signIn } = await server.ask(
    'mutation ($input: SignInInput!) { signIn(input: $input) { ... on SignedIn { accessToken } } }',
    { input: { email: ada.email, password: ada.password } },
  );
  const device = { token: signIn.accessToken as string };
  const token = await reserve(server, ada);
  await using single = await openReserved(server, ada, token);
  await give(server, ada, token, { id: '1', query: page('One', tenFields) });
  await single.next(({ data }) => data?.id === '1');
  await using distinct = await followEvents(server, device, { document: page('Two', tenFields) });

  expect(await refusalOf(server, device, page('Three', tenFields))).toMatchObject(refusal(3_621, 3_000));
  await give(server, ada, token, { id: '3', query: page('Three', tenFields) });
  const [refused] = (await single.until(completed('3'))).filter(({ data }) => data?.id === '3');
  expect(refused?.data.payload.errors[0]).toMatchObject(refusal(3_621, 3_000));
  // Every other user has a separate budget.
  await using others = await followEvents(server, grace, { document: page('Three', tenFields) });

  // Each subscription that ends frees its share of the budget.
  await takeBack(server, ada, token, '1');
  await vi.waitFor(async () => {
    await (await followEvents(server, ada, { document: page('Three', tenFields) })).close();
  });
  await distinct.close();
  await vi.waitFor(async () => {
    await using _one = await followEvents(server, ada, { document: page('Three', tenFields) });
    await using _other = await followEvents(server, ada, { document: page('Four', tenFields) });
  });
  expect(others.end).toBe(null);
});

test('a small subscription counts too, because the server stores something for it', async () => {
  await using server = await startServer({ env: { MAX_SUBSCRIPTION_COMPLEXITY: '1000' } });
  const ada = await signUp(server, 'ada');
  const small = (name: string) => `subscription ${name} { events { event { __typename } } }`;
  await using _one = await followEvents(server, ada, { document: small('One') });
  await using _two = await followEvents(server, ada, { document: small('Two') });
  expect(await refusalOf(server, ada, small('Three'))).toMatchObject(refusal(1_500, 1_000, 500));
});

test('a client whose budget is used up can reopen its streams before the server notices that they are dead', async () => {
  await using server = await startServer({ env: { MAX_SUBSCRIPTION_COMPLEXITY: '1000' } });
  const ada = await signUp(server, 'ada');
  const small = (name: string) => `subscription ${name} { events { event { __typename } } }`;
  const dead = [await followEvents(server, ada, { document: small('One') })];
  dead.push(await followEvents(server, ada, { document: small('Two') }));
  const again = [await followEvents(server, ada, { document: small('One') })];
  again.push(await followEvents(server, ada, { document: small('Two') }));
  expect(await refusalOf(server, ada, small('Three'))).toMatchObject(refusal(1_520, 1_000, 500));
  await Promise.all(dead.map((stream) => stream.close()));

  // The client can reconnect any number of times, because the server releases the share of the earlier streams only
  // once.
  for (let times = 0; times < 3; times += 1) {
    again.push(await followEvents(server, ada, { document: small('One') }));
    again.push(await followEvents(server, ada, { document: small('Two') }));
    await Promise.all(again.splice(0, 2).map((stream) => stream.close()));
  }
  await Promise.all(again.map((stream) => stream.close()));
  await vi.waitFor(async () => {
    await using _three = await followEvents(server, ada, { document: small('Three') });
    await using _four = await followEvents(server, ada, { document: small('Four') });
  });
});

test('a further subscription with the same document is refused only past twice the limit', async () => {
  await using server = await startServer({ env: { MAX_SUBSCRIPTION_COMPLEXITY: '500', MAX_STREAMS_PER_SESSION: '0' } });
  const ada = await signUp(server, 'ada');
  const document = 'subscription { events { event { __typename } } }';
  // The first stream costs 500, and the other 50 cost 10 each.
  const streams = await Promise.all(Array.from({ length: 51 }, () => followEvents(server, ada, { document })));
  expect(await refusalOf(server, ada, document)).toMatchObject(
    refusal(1_010, 1_000, 10, 'twice MAX_SUBSCRIPTION_COMPLEXITY'),
  );
  await Promise.all(streams.map((stream) => stream.close()));
});

test('many tabs with the same large document count for little more than one tab', async () => {
  await using server = await startServer({ env: { MAX_SUBSCRIPTION_COMPLEXITY: '1400' } });
  const [ada, grace] = [await signUp(server, 'ada'), await signUp(server, 'grace')];
  const chat = await createGroup(ada, [grace]);
  const tabs = [];
  // The first tab costs 1,207, and the other 18 cost 10 each.
  for (let tab = 0; tab < 19; tab += 1)
    tabs.push(await followEvents(server, ada, { document: page('Tab', tenFields) }));
  await say(grace, chat, 'hello');
  for (const tab of tabs) expect((await tab.next('NewMessage')).data.errors).toBe(undefined);
  expect(await refusalOf(server, ada, page('Other', tenFields))).toMatchObject(refusal(2_594, 1_400));
  await Promise.all(tabs.map((tab) => tab.close()));
});

test('the limit for one event is lower than for a query, and the refusal says what it is', async () => {
  await using server = await startServer({ env: { MAX_SUBSCRIPTION_COMPLEXITY: '0' } });
  const ada = await signUp(server, 'ada');
  const fields = Array.from({ length: 99 }, (_, n) => `f${n}: seq`).join(' ');
  expect(await refusalOf(server, ada, page('Wide', fields))).toMatchObject({
    message: 'The operation is too large: its complexity per event, 10107, is over the limit of 10000.',
    extensions: { code: 'BAD_REQUEST' },
  });
  const texts = Array.from({ length: 3 }, (_, n) => `t${n}: content`).join(' ');
  expect(await refusalOf(server, ada, page('Long', texts))).toMatchObject({
    message: expect.stringMatching(
      /^The operation is too large: its number of bytes in the worst case per event, \d+, is over the limit of 8388608\.$/,
    ),
  });
  await using stream = await followEvents(server, ada, { document: eventsDocument });
  expect(stream.end).toBe(null);
});

/**
 * Selects every scalar of a type and of its objects, down to `levels` levels. Leaves out fields with arguments, such as
 * paginated lists.
 */
function scalarsOf(type: GraphQLObjectType, levels: number, typename: string): string {
  const fields = Object.values(type.getFields()).flatMap(({ name, args, type: result }) => {
    const named = getNamedType(result);
    if (args.length > 0) return [];
    if (isLeafType(named)) return [name];
    return isObjectType(named) && levels > 0 ? [`${name} { ${scalarsOf(named, levels - 1, typename)} }`] : [];
  });
  return [typename, ...fields].join(' ');
}

/**
 * Selects every event with its scalars, like a client that shows everything. Apollo adds `__typename` everywhere.
 */
function everyEvent(levels: number, typename: '' | '__typename'): string {
  const union = schema.getType('Event') as GraphQLUnionType;
  // Unlike in the other events, `user` is never null in UserUpdated, so GraphQL requires an alias.
  const rename = (type: string, fields: string) =>
    type === 'UserUpdated' ? fields.replace('user {', 'updated: user {') : fields;
  const events = union
    .getTypes()
    .map((type) => `... on ${type.name} { ${rename(type.name, scalarsOf(type, levels, typename))} }`);
  return `subscription ($after: String) {
    events(after: $after) { ${typename} cursor at event { __typename ${events.join(' ')} } }
  }`;
}

test.for([
  ['plainly', ''],
  ['with Apollo’s __typename everywhere', '__typename'],
] as const)('every event with all its scalar fields is allowed, written %s', async ([, typename]) => {
  await using server = await startServer();
  const [ada, grace] = [await signUp(server, 'ada'), await signUp(server, 'grace')];
  const chat = await createGroup(ada, [grace]);
  for (const levels of [1, 2]) {
    await using stream = await followEvents(server, ada, { document: everyEvent(levels, typename) });
    await say(grace, chat, 'hello');
    expect(eventOf(await stream.next('NewMessage')).message.content).toBe('hello');
  }
});
