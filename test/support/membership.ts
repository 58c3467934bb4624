import { chatFields } from './chat.ts';
import type { Data, Person, Variables } from './client.ts';

const error = '... on Error { __typename code message } ... on InvalidInput { fields { path message } }';
const chat = `__typename ... on Chat { ${chatFields} viewerMembership { role } }`;
const gone = '__typename ... on ChatGone { chatId }';

// The functions that ask for a change return the whole result, errors included.

/** `history`: ALL or FROM_NOW. */
export async function addPeople(by: Person, chatId: string, userIds: string[], history?: string): Promise<Data> {
  const document = `mutation ($chatId: ID!, $userIds: [ID!]!, $history: SharedHistory) {
    outcome: addMembers(chatId: $chatId, userIds: $userIds, history: $history) { ${chat} ${error} }
  }`;
  return (await by.ask(document, { chatId, userIds, history })).outcome;
}

/** Removes a member. Returns the outcome. */
export async function removePerson(by: Person, chatId: string, userId: string): Promise<Data> {
  const document = `mutation ($chatId: ID!, $userId: ID!) {
    outcome: removeMember(chatId: $chatId, userId: $userId) { ${chat} ... on Error { code message } }
  }`;
  return (await by.ask(document, { chatId, userId })).outcome;
}

/** Changes a member’s role. Returns the outcome. */
export async function setMemberRole(by: Person, chatId: string, userId: string, role: string): Promise<Data> {
  const document = `mutation ($chatId: ID!, $userId: ID!, $role: MemberRole!) {
    outcome: setMemberRole(chatId: $chatId, userId: $userId, role: $role) {
      __typename ... on Error { code message } ... on Member { id role user { username } }
    }
  }`;
  return (await by.ask(document, { chatId, userId, role })).outcome;
}

/** Joins a public channel. Returns the outcome. */
export async function joinChat(by: Person, chatId: string): Promise<Data> {
  const document = `mutation ($chatId: ID!) {
    outcome: joinChat(chatId: $chatId) { ${chat} ... on Error { code message } }
  }`;
  return (await by.ask(document, { chatId })).outcome;
}

/** Leaves a chat. Returns the outcome. */
export async function leaveChat(by: Person, chatId: string): Promise<Data> {
  const document = `mutation ($chatId: ID!) {
    outcome: leaveChat(chatId: $chatId) { ${gone} ... on Error { code message } }
  }`;
  return (await by.ask(document, { chatId })).outcome;
}

/** Deletes a chat. Returns the outcome. */
export async function deleteChat(by: Person, chatId: string): Promise<Data> {
  const document = `mutation ($chatId: ID!) {
    outcome: deleteChat(chatId: $chatId) { ${gone} ... on Error { code message } }
  }`;
  return (await by.ask(document, { chatId })).outcome;
}

/** Fields that are absent from `change` stay as they are. */
export async function updateChat(by: Person, chatId: string, change: Variables): Promise<Data> {
  const document = `mutation ($input: UpdateChatInput!) { outcome: updateChat(input: $input) { ${chat} ${error} } }`;
  return (await by.ask(document, { input: { chatId, ...change } })).outcome;
}

/**
 * Returns the role of each member of a chat, by username. `by`, who requests the roles, must be able to see the chat.
 */
export async function rolesIn(chatId: string, by: Person): Promise<Record<string, string>> {
  const document = `query ($id: ID!) {
    chat(id: $id) { members(first: 100) { edges { node { role user { username } } } } }
  }`;
  const { chat: seen } = await by.ask(document, { id: chatId });
  return Object.fromEntries(seen.members.edges.map(({ node }: Data) => [node.user.username, node.role]));
}

/** Returns the contents of the messages in a chat that the user can see, oldest first. */
export async function contentsIn(chatId: string, by: Person): Promise<string[]> {
  const document = 'query ($id: ID!) { chat(id: $id) { messages { edges { node { content } } } } }';
  const { chat: seen } = await by.ask(document, { id: chatId });
  return seen.messages.edges.map(({ node }: Data) => node.content);
}
