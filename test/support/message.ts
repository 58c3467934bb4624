import { keyOf } from './chat.ts';
import { ask, type Data, type Person } from './client.ts';
import type { TestServer } from './server.ts';

/** The fields that most tests need after a message has changed. */
const messageState = `id seq content editedAt deletedAt
  revisions { version content }
  reactions { emoji count viewerReacted }
  mentions { isEveryone user { username } }`;
const result = `__typename ... on Error { code message } ... on Message { ${messageState} }`;
const refusable = `${result} ... on InvalidInput { fields { path message } }`;

// The functions that ask for a change return the whole result, errors included.

/** Edits a message. Returns the outcome: the message or an error. */
export async function editMessage(by: Person, messageId: string, content: string): Promise<Data> {
  const document = `mutation ($messageId: ID!, $content: String!) {
    outcome: editMessage(messageId: $messageId, content: $content) { ${refusable} }
  }`;
  return (await by.ask(document, { messageId, content })).outcome;
}

/** Deletes a message. Returns the outcome. */
export async function deleteMessage(by: Person, messageId: string): Promise<Data> {
  const document = `mutation ($messageId: ID!) { outcome: deleteMessage(messageId: $messageId) { ${result} } }`;
  return (await by.ask(document, { messageId })).outcome;
}

/** Adds a reaction. Returns the outcome. */
export async function addReaction(by: Person, messageId: string, emoji: string): Promise<Data> {
  const document = `mutation ($messageId: ID!, $emoji: String!) {
    outcome: addReaction(messageId: $messageId, emoji: $emoji) { ${refusable} }
  }`;
  return (await by.ask(document, { messageId, emoji })).outcome;
}

/** Removes a reaction. Returns the outcome. */
export async function removeReaction(by: Person, messageId: string, emoji: string): Promise<Data> {
  const document = `mutation ($messageId: ID!, $emoji: String!) {
    outcome: removeReaction(messageId: $messageId, emoji: $emoji) { ${result} }
  }`;
  return (await by.ask(document, { messageId, emoji })).outcome;
}

/** Pins a message. Returns the outcome. */
export async function pinMessage(by: Person, messageId: string): Promise<Data> {
  const document = `mutation ($messageId: ID!) { outcome: pinMessage(messageId: $messageId) { ${refusable} } }`;
  return (await by.ask(document, { messageId })).outcome;
}

/** Unpins a message. Returns the outcome. */
export async function unpinMessage(by: Person, messageId: string): Promise<Data> {
  const document = `mutation ($messageId: ID!) { outcome: unpinMessage(messageId: $messageId) { ${result} } }`;
  return (await by.ask(document, { messageId })).outcome;
}

/** Returns a message as a user sees it, or null if it is hidden from them. */
export async function readMessage(by: Person, id: string): Promise<Data> {
  const document = `query ($id: ID!) { node(id: $id) { ... on Message { ${messageState} } } }`;
  return (await by.ask(document, { id })).node;
}

/** Gives a member another role, directly in the database. */
export async function setRole(server: TestServer, chatId: string, person: Person, role: string): Promise<void> {
  await server.sql.query('update members set role = $3 where chat_id = $1 and user_id = $2', [
    keyOf(chatId),
    keyOf(person.userId),
    role,
  ]);
}

/** Returns the same user, whose `ask` goes to another node. */
export function onNode(node: TestServer, person: Person): Person {
  return { ...person, ask: (document, variables) => ask(node.url, document, variables, person.token) };
}

/** A subscription to every event that concerns a user, with the fields of changed messages. */
export const messageEventsDocument = `subscription ($after: String) {
  events(after: $after) {
    cursor
    event {
      __typename
      ... on NewChat { chat { name } }
      ... on ChatDeleted { chatId }
      ... on NewMessage { message { seq content } }
      ... on MessageEdited { message { seq content revisions { content } } }
      ... on MessageDeleted { message { seq content deletedAt } }
      ... on ReactionsChanged { message { seq } emoji count userId added }
      ... on PinsChanged { message { seq content } pinned }
    }
  }
}`;
