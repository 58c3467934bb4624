import { randomBytes } from 'node:crypto';
import { parseId } from '../../src/core/id.ts';
import type { Data, Person, Variables } from './client.ts';
import type { TestServer } from './server.ts';
import { eventOf, matching, type EventStream } from './stream.ts';

/** What a test most often wants to know of a chat. */
export const chatFields = 'id type name description lastSeq memberCount';
/** And of a message. */
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

/** Asks for a chat; whatever comes of it is returned. */
export async function createChat(by: Person, input: Variables): Promise<Data> {
  return (await by.ask(createMutation, { input })).createChat;
}

/** Sends a message; whatever comes of it is returned. */
export async function sendMessage(by: Person, chatId: string, content: string, more: Variables = {}): Promise<Data> {
  return (await by.ask(sendMutation, { input: { chatId, content, ...more } })).sendMessage;
}

/** A group of the owner and these people. Returns its id. */
export async function createGroup(owner: Person, others: Person[], name = 'a group'): Promise<string> {
  return requireId(await createChat(owner, { type: 'GROUP', name, memberIds: others.map(({ userId }) => userId) }));
}

/** A public channel of the owner's. Returns its id. */
export async function createPublicChannel(owner: Person, name = 'a public channel'): Promise<string> {
  return requireId(await createChat(owner, { type: 'PUBLIC_CHANNEL', name }));
}

/** Sends a message that has to be taken. Returns its id. */
export async function say(by: Person, chatId: string, content: string, more: Variables = {}): Promise<string> {
  return requireId(await sendMessage(by, chatId, content, more));
}

/** The number behind a global id: how SQL names the thing. */
export function keyOf(globalId: string): string {
  const parsed = parseId(globalId);
  if (parsed === null) throw new Error(`${globalId} is not an id`);
  return parsed.key;
}

/** Puts people into a chat, as psql would. `visibleFromSeq`: the first message that they see. */
export async function addMembers(server: TestServer, chatId: string, people: Person[], visibleFromSeq = 1) {
  await server.sql.query(
    'insert into members (chat_id, user_id, visible_from_seq) select $1, unnest($2::bigint[]), $3',
    [keyOf(chatId), people.map(({ userId }) => keyOf(userId)), visibleFromSeq],
  );
}

/** Takes somebody out of a chat, as psql would. */
export async function removeMember(server: TestServer, chatId: string, person: Person) {
  await server.sql.query('delete from members where chat_id = $1 and user_id = $2', [
    keyOf(chatId),
    keyOf(person.userId),
  ]);
}

/** Writes a message, as psql would. */
export async function insertMessage(server: TestServer, chatId: string, sender: Person, content: string) {
  await server.sql.query('insert into messages (chat_id, sender_id, content) values ($1, $2, $3)', [
    keyOf(chatId),
    keyOf(sender.userId),
    content,
  ]);
}

/**
 * The events that a stream of everything of theirs has brought a person by now, but for those handed out before. They
 * make a channel of their own for it: when word of that comes, so has all that was before.
 */
export async function heardBy(person: Person, stream: EventStream): Promise<Data[]> {
  const name = `mark ${randomBytes(6).toString('hex')}`;
  await createChat(person, { type: 'PRIVATE_CHANNEL', name });
  const frames = await stream.until(matching({ __typename: 'NewChat', chat: { name } }));
  return frames.slice(0, -1).map(eventOf);
}

function requireId(outcome: Data): string {
  if (outcome.id === undefined) throw new Error(`It was not made: ${JSON.stringify(outcome)}`);
  return outcome.id;
}
