import { randomBytes } from 'node:crypto';
import { parseId } from '../../src/core/id.ts';
import type { Data, Person, Variables } from './client.ts';
import type { TestServer } from './server.ts';
import { eventOf, matching, type EventStream } from './stream.ts';

/** The chat fields that most tests need. */
export const chatFields = 'id type name description lastSeq memberCount';
/** The message fields that most tests need. */
const messageFields = 'id seq content clientMessageId sender { username } replyTo { id content }';

const createMutation = `mutation ($input: CreateChatInput!) {
  createChat(input: $input) {
    __typename
    ... on Error { code message }
    ... on InvalidInput { fields { path message } }
    ... on Chat { ${chatFields} }
  }
}`;
const sendMutation = `mutation ($input: SendMessageInput!) {
  sendMessage(input: $input) {
    __typename
    ... on Error { code message }
    ... on InvalidInput { fields { path message } }
    ... on Message { ${messageFields} }
  }
}`;

/** Creates a chat. Returns the whole result, including errors. */
export async function createChat(by: Person, input: Variables): Promise<Data> {
  return (await by.ask(createMutation, { input })).createChat;
}

/** Sends a message. Returns the whole result, including errors. */
export async function sendMessage(by: Person, chatId: string, content: string, more: Variables = {}): Promise<Data> {
  return (await by.ask(sendMutation, { input: { chatId, content, ...more } })).sendMessage;
}

/** Creates a group with the owner and these users as members. Returns its id. */
export async function createGroup(owner: Person, others: Pick<Person, 'userId'>[], name = 'a group'): Promise<string> {
  return requireId(await createChat(owner, { type: 'GROUP', name, memberIds: others.map(({ userId }) => userId) }));
}

/** Creates a public channel that the owner owns. Returns its id. */
export async function createPublicChannel(owner: Person, name = 'a public channel'): Promise<string> {
  return requireId(await createChat(owner, { type: 'PUBLIC_CHANNEL', name }));
}

/** Sends a message that must be accepted. Returns its id. */
export async function say(by: Person, chatId: string, content: string, more: Variables = {}): Promise<string> {
  return requireId(await sendMessage(by, chatId, content, more));
}

/** Returns the id of the database row to which a global id refers. */
export function keyOf(globalId: string): string {
  const parsed = parseId(globalId);
  if (parsed === null) throw new Error(`${globalId} is not an id`);
  return parsed.key;
}

/**
 * Adds users to a chat, directly in the database. `visibleFromSeq` is the seq of the first message that these users
 * see.
 */
export async function addMembers(server: TestServer, chatId: string, people: Person[], visibleFromSeq = 1) {
  await server.sql.query(
    'insert into members (chat_id, user_id, visible_from_seq) select $1, unnest($2::bigint[]), $3',
    [keyOf(chatId), people.map(({ userId }) => keyOf(userId)), visibleFromSeq],
  );
}

/** Removes a user from a chat, directly in the database. */
export async function removeMember(server: TestServer, chatId: string, person: Person) {
  await server.sql.query('delete from members where chat_id = $1 and user_id = $2', [
    keyOf(chatId),
    keyOf(person.userId),
  ]);
}

/** Writes a message, directly in the database. */
export async function insertMessage(
  { sql }: Pick<TestServer, 'sql'>,
  chatId: string,
  sender: Person,
  content: string,
): Promise<void> {
  await sql.query('insert into messages (chat_id, sender_id, content) values ($1, $2, $3)', [
    keyOf(chatId),
    keyOf(sender.userId),
    content,
  ]);
}

/**
 * Writes `count` messages of `length` characters in one statement, directly in the database. More than 8 MB of messages
 * fill the operating system's buffers between two sockets.
 */
export async function insertMessages(
  { sql }: Pick<TestServer, 'sql'>,
  chatId: string,
  sender: Person,
  { count, length = 10 }: { count: number; length?: number },
): Promise<void> {
  await sql.query(
    `insert into messages (chat_id, seq, sender_id, content)
    select c.id, c.last_seq + n, $2, rpad(n::text, $4, ' words') from chats c, generate_series(1, $3::int) n where c.id = $1`,
    [keyOf(chatId), keyOf(sender.userId), count, length],
  );
}

/**
 * Returns the events that have arrived so far on a user's stream of all their events, without those that an earlier
 * call returned. To make sure that no more events are on their way, the user creates a channel. When the event for this
 * channel arrives, all earlier events have arrived too. The document of the stream must therefore select `... on
 * NewChat { chat { name } }`.
 */
export async function heardBy(person: Person, stream: EventStream): Promise<Data[]> {
  const name = `mark ${randomBytes(6).toString('hex')}`;
  await createChat(person, { type: 'PRIVATE_CHANNEL', name });
  const frames = await stream.until(matching({ __typename: 'NewChat', chat: { name } }));
  return frames.slice(0, -1).map(eventOf);
}

function requireId(outcome: Data): string {
  if (outcome.id === undefined) throw new Error(`Not created: ${JSON.stringify(outcome)}`);
  return outcome.id;
}
