import {
  getNamedType,
  isEnumType,
  isNonNullType,
  isObjectType,
  isScalarType,
  parse,
  type GraphQLArgument,
  type GraphQLField,
  type GraphQLObjectType,
  type OperationDefinitionNode,
} from 'graphql';
import { beforeAll, expect, test } from 'vitest';
import { judgeSize } from '../../src/api/measure.ts';
import { schema } from '../../src/edges.ts';
import { addMembers, createChat, createGroup, removeMember, say } from '../support/chat.ts';
import { signUp, type Person } from '../support/client.ts';
import { deleteChat, setMemberRole, updateChat } from '../support/membership.ts';
import { addReaction, deleteMessage, editMessage, pinMessage } from '../support/message.ts';
import type { TestServer } from '../support/server.ts';
import { sharedServer } from '../support/shared-server.ts';
import { recordStatements } from '../support/statements.ts';
import { eventOf, followEvents, readMissed } from '../support/stream.ts';

// Everything that can be selected from an event must come from loaders, which read the data of many events together.
// Prisma would run a statement for each event, and Pothos' relations would read the parent objects again.

let server: TestServer;
let ada: Person;
let grace: Person;
beforeAll(async () => {
  server = await sharedServer();
  [ada, grace] = await Promise.all([signUp(server, 'ada'), signUp(server, 'grace')]);
});

/** Recognizes Prisma's statements, which name each table with its schema, in quotes. */
const ofPrisma = (statement: string) => statement.includes('"public"."');

/** The maximum depth of the selection below an event. */
const maxDepth = 4;

/** Selects every field of a type, and the fields of its objects down to `levels` levels. */
function selectAll(type: GraphQLObjectType, levels: number): string {
  const fields = Object.values(type.getFields()).flatMap((field) => selectField(field, levels));
  return ['__typename', ...fields].join(' ');
}

function selectField(field: GraphQLField<unknown, unknown>, levels: number): string[] {
  const required = field.args.filter(({ type, defaultValue }) => isNonNullType(type) && defaultValue === undefined);
  const size = field.args.find(({ name }) => name === 'first' || name === 'countAfter');
  const args = [...required.map(giveArgument), ...(size === undefined ? [] : [`${size.name}: 1`])];
  const call = args.length === 0 ? field.name : `${field.name}(${args.join(', ')})`;
  const type = getNamedType(field.type);
  if (isScalarType(type) || isEnumType(type)) return [call];
  // A connection's edges and nodes do not count as levels.
  const below = /(Connection|Edge)$/.test(type.name) ? levels : levels - 1;
  return isObjectType(type) && below > 0 ? [`${call} { ${selectAll(type, below)} }`] : [];
}

/** Returns a value for a required argument: 1, or the first value of an enumeration. */
function giveArgument({ name, type }: GraphQLArgument): string {
  const named = getNamedType(type);
  return `${name}: ${isEnumType(named) ? named.getValues()[0]?.name : 1}`;
}

function typeOf(kind: string): GraphQLObjectType {
  const type = schema.getType(kind);
  if (!isObjectType(type)) throw new Error(`${kind} is not a type`);
  return type;
}

const kinds = namesOfEvents();

function namesOfEvents(): string[] {
  const union = schema.getType('Event');
  if (union === undefined || !('getTypes' in union)) throw new Error('there is no union Event');
  return union.getTypes().map(({ name }) => name);
}

/** Selects every field of the events of that kind, as deep as the limits for an operation allow. */
function documentFor(kind: string): string {
  for (let levels = maxDepth; levels > 0; levels -= 1) {
    const text = `subscription ($after: String) { events(after: $after) { cursor at event { __typename
      ... on ${kind} { ${selectAll(typeOf(kind), levels)} } } } }`;
    const tokens = text.match(/[\w$]+|[^\s\w]/g)?.length ?? 0;
    if (tokens >= 2_000) continue;
    const document = parse(text);
    const operation = document.definitions[0] as OperationDefinitionNode;
    if (judgeSize(schema, { document, operation }, {}).refusal === null) return text;
  }
  throw new Error(`${kind} has too many fields for one document`);
}

/** Makes every kind of event happen to Ada through the API, before she reads any of them. */
async function liveThrough(): Promise<void> {
  const { id: chat } = await createChat(ada, { type: 'GROUP', memberIds: [grace.userId] });
  const message = await say(grace, chat, 'hello @ada', { clientMessageId: 'one' });
  await say(grace, chat, 'a reply', { replyToId: message });
  await editMessage(grace, message, 'hello again @ada');
  await addReaction(grace, message, '👍');
  await pinMessage(ada, message);
  await deleteMessage(grace, await say(grace, chat, 'a mistake'));
  await ada.ask('mutation ($id: ID!) { markRead(chatId: $id, seq: 1) { __typename } }', { id: chat });
  await ada.ask('mutation ($id: ID!) { setNotificationLevel(chatId: $id, level: NONE) { __typename } }', { id: chat });
  await grace.ask('mutation { updateProfile(input: { displayName: "Grace" }) { __typename } }');
  await updateChat(ada, chat, { name: 'a name' });
  await setMemberRole(ada, chat, grace.userId, 'ADMIN');
  const linus = await signUp(server, `linus-${Math.random().toString(36).slice(2)}`);
  await addMembers(server, chat, [linus]);
  await removeMember(server, chat, linus);
  const gone = await createGroup(ada, [grace], 'gone');
  await deleteChat(ada, gone);
}

test('statements that Prisma sends are recognized', async () => {
  const statements = await recordStatements(server, () =>
    ada.ask('{ viewer { blockedUsers { edges { node { id } } } } }'),
  );
  expect(statements.filter(ofPrisma).length).toBeGreaterThan(0);
  const others = await recordStatements(server, () => ada.ask('{ viewer { user { username } } }'));
  expect(others.length).toBeGreaterThan(0);
  expect(others.filter(ofPrisma)).toEqual([]);
});

const notices = ['CaughtUp', 'PresenceChanged', 'Reset', 'Typing'];

test('no event that is read from the log makes Prisma send a statement, with all its fields selected', async () => {
  const { viewer } = await ada.ask('{ viewer { eventCursor } }');
  await liveThrough();
  let count = 0;
  for (const kind of kinds.filter((name) => !notices.includes(name))) {
    let seen: string[] = [];
    const statements = await recordStatements(server, async () => {
      const frames = await readMissed(server, ada, viewer.eventCursor, { document: documentFor(kind) });
      for (const frame of frames) expect(frame.data).not.toHaveProperty('errors');
      seen = frames.map((frame) => eventOf(frame).__typename);
    });
    expect(seen).toContain(kind);
    count += statements.length;
    expect([kind, statements.filter(ofPrisma)]).toEqual([kind, []]);
  }
  // If this were 0, the recorder would have mistaken these statements for background work, and the test could never
  // fail.
  expect(count).toBeGreaterThan(0);
});

test('neither a live event nor one that is sent outside the log makes Prisma send a statement', async () => {
  const linus = await signUp(server, 'linus');
  const chat = await createGroup(ada, [grace, linus]);
  for (const kind of ['NewMessage', 'PresenceChanged', 'Typing']) {
    await using stream = await followEvents(server, ada, { document: documentFor(kind) });
    const statements = await recordStatements(server, async () => {
      if (kind === 'NewMessage') await say(grace, chat, 'hello');
      if (kind === 'Typing') await grace.ask('mutation ($id: ID!) { startTyping(chatId: $id) }', { id: chat });
      // Linus stays online until this stream closes.
      await using coming = kind === 'PresenceChanged' ? await followEvents(server, linus) : null;
      await stream.next(kind);
      expect(coming === null).toBe(kind !== 'PresenceChanged');
    });
    expect([kind, statements.filter(ofPrisma)]).toEqual([kind, []]);
  }
});
