import type { Data, Person } from './client.ts';

const error = '... on Error { code message } ... on InvalidInput { fields { path code message } }';
const forbidden = '... on Forbidden { until reason }';
/** The fields of a ban that most tests select. */
const banFields = 'id user { username } until reason createdBy { username }';

// The functions that ask for a change return the whole result, errors included.

/** Bans a user from a chat. Returns the outcome. */
export async function ban(
  by: Person,
  chatId: string,
  userId: string,
  { until, reason }: { until?: Date; reason?: string } = {},
): Promise<Data> {
  const document = `mutation ($chatId: ID!, $userId: ID!, $until: DateTime, $reason: String) {
    outcome: banMember(chatId: $chatId, userId: $userId, until: $until, reason: $reason) {
      __typename ... on Ban { ${banFields} } ${error}
    }
  }`;
  return (await by.ask(document, { chatId, userId, until, reason })).outcome;
}

/** Lifts a ban. Returns the outcome. */
export async function unban(by: Person, chatId: string, userId: string): Promise<Data> {
  const document = `mutation ($chatId: ID!, $userId: ID!) {
    outcome: unbanMember(chatId: $chatId, userId: $userId) { __typename ... on Chat { id } ... on Error { code message } }
  }`;
  return (await by.ask(document, { chatId, userId })).outcome;
}

/** If `until` is null, ends the mute. */
export async function mute(by: Person, chatId: string, userId: string, until: Date | null): Promise<Data> {
  const document = `mutation ($chatId: ID!, $userId: ID!, $until: DateTime) {
    outcome: muteMember(chatId: $chatId, userId: $userId, until: $until) {
      __typename ... on Member { mutedUntil user { username } } ${error}
    }
  }`;
  return (await by.ask(document, { chatId, userId, until })).outcome;
}

/** Returns the result of joinChat, including the end of a ban and its reason. */
export async function tryToJoin(by: Person, chatId: string): Promise<Data> {
  const document = `mutation ($chatId: ID!) {
    outcome: joinChat(chatId: $chatId) { __typename ... on Error { message } ${forbidden} }
  }`;
  return (await by.ask(document, { chatId })).outcome;
}

/** Returns the bans of a chat that are visible to the user, or null if the user may not see them. */
export async function bansOf(by: Person, chatId: string): Promise<Data[] | null> {
  const document = `query ($id: ID!) { chat(id: $id) { bans { edges { node { ${banFields} } } } } }`;
  const { chat } = await by.ask(document, { id: chatId });
  return chat.bans?.edges.map(({ node }: Data) => node) ?? null;
}

/** Returns the time `count` minutes from now. */
export function inMinutes(count: number): Date {
  return new Date(Date.now() + count * 60_000);
}
