import { defaultFieldResolver, isObjectType, type GraphQLFieldResolver, type GraphQLFormattedError } from 'graphql';
import { beforeAll, expect, test } from 'vitest';
import { plainResolver } from '../../../src/api/plan/plan.ts';
import { schema } from '../../../src/edges.ts';
import { createChat, createGroup, createPublicChannel, keyOf, say } from '../../support/chat.ts';
import { signUp, type Answer, type Data, type Person } from '../../support/client.ts';
import { atFileEnd } from '../../support/file-end.ts';
import { createDice, RandomWriter, type RandomDocument, type Vocabulary } from '../../support/random-document.ts';
import { rounds } from '../../support/rounds.ts';
import { startServer, type TestServer } from '../../support/server.ts';
import { recordStatements } from '../../support/statements.ts';

let server: TestServer;
let ada: Person;
let grace: Person;
let vocabulary: Omit<Vocabulary, 'roots'>;
beforeAll(async () => {
  server = await startServer();
  [ada, grace] = await Promise.all([signUp(server, 'ada'), signUp(server, 'grace')]);
  const group = await createGroup(ada, [grace]);
  const alone = await createPublicChannel(ada);
  const single = (await createChat(ada, { type: 'SINGLE', memberIds: [grace.userId] })).id;
  const first = await say(ada, group, 'hello @grace');
  const reply = await say(grace, group, 'hello @ada', { replyToId: first });
  for (let number = 0; number < 4; number += 1) await say(grace, single, `message ${number}`);
  await say(ada, alone, 'all alone');
  await ada.ask(`mutation ($id: ID!) { addReaction(messageId: $id, emoji: "🎉") { __typename } }`, { id: first });
  await ada.ask(`mutation ($id: ID!) { pinMessage(messageId: $id) { __typename } }`, { id: reply });
  vocabulary = {
    ids: [group, alone, single, first, reply, ada.userId, grace.userId, 'nonsense', 'VXNlcjo5OTk5'],
    texts: ['ada', 'grace', 'hello', '', 'bWVzc2FnZXM6MQ'],
    aliases: ['a'],
  };
});

/**
 * graphql-js executes a document that contains the key `__proto__`, because plans do not support it. Both keys have the
 * same length.
 */
const keys = { planned: 'with_plan', plain: '__proto__' };

type Outcome = { status: number; body: string; statements: string[] };

/**
 * Returns the errors of nullable fields, and the places that other errors have set to null. When several errors would
 * set the same place to null, the specification requires only one of them to be reported, and which one comes first
 * varies.
 */
function tellPlaces(data: Data, errors: readonly GraphQLFormattedError[]): string[] {
  const told = errors.map((error) => {
    const path = error.path ?? [];
    let value = data;
    let depth = 0;
    while (value !== null && depth < path.length) value = value[path[depth++] ?? ''];
    return depth === path.length ? JSON.stringify(error) : path.slice(0, depth).join('.');
  });
  return [...new Set(told)].toSorted();
}

async function outcomeOf(by: Person | null, document: RandomDocument, { extra }: { extra: string }): Promise<Outcome> {
  let answer: Answer | null = null;
  const source = `${document.head} { ${document.selections} ${extra}: __typename } ${document.fragments}`;
  const statements = await recordStatements(server, async () => {
    answer = await (by ?? server).post(source, document.variables);
  });
  const { status, data, errors } = (answer ?? {}) as unknown as Answer;
  const told = errors && tellPlaces(data, errors);
  // Compare text, so that the order of the keys matters. The two documents differ in the alias of one field, which is
  // omitted.
  const body = JSON.stringify({ errors: told, data }, (key, value) => (key === extra ? undefined : value));
  return { status, body, statements: statements.toSorted() };
}

/** Executes random documents both with and without a plan, and expects the same answers from the same statements. */
async function compare(
  root: 'Query' | 'Mutation',
  words: Vocabulary,
  { seed, count }: { seed: number; count: number },
) {
  let answered = 0;
  let failed = 0;
  const statements = { planned: 0, plain: 0 };
  for (let number = 0; number < count; number += 1) {
    const document = new RandomWriter(schema, createDice(seed + number), words).write(root);
    const by = [ada, grace, ada, null][number % 4] ?? null;
    const planned = await outcomeOf(by, document, { extra: keys.planned });
    const plain = await outcomeOf(by, document, { extra: keys.plain });
    const again = await outcomeOf(by, document, { extra: keys.planned });
    const what = `seed ${seed + number}: ${document.head} { ${document.selections} } ${document.fragments} ${JSON.stringify(document.variables)}`;
    expect({ ...planned, statements: null }, what).toEqual({ ...plain, statements: null });
    expect({ ...again, statements: null }, what).toEqual({ ...plain, statements: null });
    // The number of times that a loader runs depends on the order in which the answers from the database arrive.
    // After an error, the response may arrive while other fields still have statements to send.
    const sent = plain.body.includes('"errors"') ? [] : plain.statements;
    const sentAgain = plain.body.includes('"errors"') ? [] : again.statements;
    expect(new Set(sentAgain), what).toEqual(new Set(sent));
    statements.planned += sentAgain.length;
    statements.plain += sent.length;
    if (plain.body.includes('"data":{')) answered += 1;
    if (plain.body.includes('"errors"')) failed += 1;
  }
  expect(statements.planned).toBeLessThanOrEqual(statements.plain * 1.02);
  return { answered, failed };
}

/** The longer timeout is for `npm run test:full`. */
const timeoutMs = rounds(20_000, 900_000);

const queries = ['viewer', 'chat', 'node', 'nodes', 'publicChannels', 'users', 'user', 'chatByKey', 'api', '__type'];

test(
  'random queries have the same answers, errors and statements with a plan as with graphql-js',
  { timeout: timeoutMs },
  async () => {
    const words = { ...vocabulary, roots: [...queries, 'viewer', 'chat', 'node'] };
    const { answered } = await compare('Query', words, { seed: 1, count: rounds(50, 2_000) });
    expect(answered).toBeGreaterThan(rounds(15, 800));
  },
);

test(
  'mutations that are refused have the same answers with a plan as with graphql-js',
  { timeout: timeoutMs },
  async () => {
    const roots = [
      'sendMessage',
      'editMessage',
      'deleteMessage',
      'addReaction',
      'markRead',
      'updateChat',
      'removeMember',
    ];
    const words = { ...vocabulary, ids: ['nonsense', 'VXNlcjo5OTk5', 'Q2hhdDo5OTk5'], roots };
    const { answered } = await compare('Mutation', words, { seed: 10_000, count: rounds(15, 400) });
    expect(answered).toBeGreaterThan(rounds(3, 80));
  },
);

type Resolver = GraphQLFieldResolver<unknown, unknown>;

/** The faults of a field, by the beginning of its alias. */
const faults: Record<string, (original: () => unknown) => unknown> = {
  throws: () => {
    throw new Error('it broke');
  },
  rejects: async () => {
    throw new Error('it broke later');
  },
  late: async (original) => {
    await new Promise(setImmediate);
    return original();
  },
  nothing: () => null,
  gives: () => new Error('an error as a value'),
  empty: async () => undefined,
  odd: () => ({ some: 'object' }),
};

/** Makes the fields of the schema react to their aliases. The returned function restores them. */
function breakFields(): () => void {
  const restore: (() => void)[] = [];
  for (const type of Object.values(schema.getTypeMap())) {
    if (!isObjectType(type) || type.name.startsWith('__')) continue;
    for (const field of Object.values(type.getFields())) {
      const { resolve, extensions } = field;
      const original: Resolver = resolve ?? defaultFieldResolver;
      // From here on, the resolver needs more than the object.
      field.extensions = { ...extensions, [plainResolver]: false };
      field.resolve = (source, args, context, info) => {
        const fault = faults[/^[a-z]+/.exec(String(info.path.key))?.[0] ?? ''];
        const resolveAsBefore = (): unknown => original(source, args, context, info);
        return fault === undefined ? resolveAsBefore() : fault(resolveAsBefore);
      };
      restore.push(() => {
        field.extensions = extensions;
        if (resolve === undefined) delete field.resolve;
        else field.resolve = resolve;
      });
    }
  }
  return () => restore.forEach((each) => each());
}

test(
  'errors, early and late, reach the same places with a plan as with graphql-js',
  { timeout: timeoutMs },
  async () => {
    const restore = breakFields();
    atFileEnd(restore);
    try {
      const aliases = [...Array.from({ length: 14 }, () => 'a'), 'late', 'late', ...Object.keys(faults)];
      const words = { ...vocabulary, aliases, roots: ['viewer', 'viewer', 'chat', 'node', 'users'] };
      const { failed } = await compare('Query', words, {
        seed: 20_000,
        count: rounds(50, 2_000),
      });
      expect(failed).toBeGreaterThan(rounds(12, 500));
    } finally {
      restore();
    }
  },
);

test('an operation that was executed before is executed by the same plan, with other variables', async () => {
  const document = `query ($id: ID!, $withName: Boolean!) { chat(id: $id) { id name @include(if: $withName) } }`;
  const [id] = vocabulary.ids;
  for (const withName of [true, false, true]) {
    const { chat } = await ada.ask(document, { id, withName });
    expect(Object.keys(chat)).toEqual(withName ? ['id', 'name'] : ['id']);
  }
  expect(keyOf(id ?? '')).toMatch(/^\d+$/);
});

test('a condition at the root that is null causes the same error with a plan as with graphql-js', async () => {
  const answerOf = async (key: string) => {
    const document = `query ($when: Boolean = true) { viewer @include(if: $when) { id } ${key}: __typename }`;
    const { status, data, errors } = await ada.post(document, { when: null });
    return { status, data, messages: errors?.map(({ message }) => message) };
  };
  const planned = await answerOf(keys.planned);
  expect(planned).toMatchObject({ data: null, messages: [expect.stringContaining('must not be null')] });
  expect(await answerOf(keys.plain)).toEqual(planned);
});
