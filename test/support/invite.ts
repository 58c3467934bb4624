import type { Data, Person, Variables } from './client.ts';

/** The fields of an invite that most tests need. */
export const inviteFields = 'id code chat { id } chatName createdBy { username } expiresAt usesLeft';
const error = '... on Error { code message }';

// The functions that ask for a change return the whole result, including errors.

/** Creates an invite. Returns the outcome: the invite or an error. */
export async function createInvite(by: Person, input: Variables): Promise<Data> {
  const document = `mutation ($input: CreateInviteInput!) {
    outcome: createInvite(input: $input) {
      __typename ... on Invite { ${inviteFields} } ... on Error { message } ... on InvalidInput { fields { path code } }
    }
  }`;
  return (await by.ask(document, { input })).outcome;
}

/** Revokes an invite. Returns the outcome. */
export async function revokeInvite(by: Person, inviteId: string): Promise<Data> {
  const document = `mutation ($inviteId: ID!) {
    outcome: revokeInvite(inviteId: $inviteId) { __typename ... on Invite { id } ${error} }
  }`;
  return (await by.ask(document, { inviteId })).outcome;
}

/** Uses an invite. Returns the outcome: the chat, the viewer or an error. */
export async function joinByInvite(by: Person, code: string): Promise<Data> {
  const document = `mutation ($code: String!) {
    outcome: joinByInvite(code: $code) {
      __typename ... on Chat { id viewerMembership { role } } ... on Viewer { user { username } }
      ${error} ... on Forbidden { until reason }
    }
  }`;
  return (await by.ask(document, { code })).outcome;
}

/** Returns a preview of an invite, or null if the invite lets no one in. */
export async function previewInvite(by: Person, code: string): Promise<Data> {
  return (await by.ask(`query ($code: String!) { invite(code: $code) { ${inviteFields} } }`, { code })).invite;
}

/** Returns the codes of a chat's usable invites that the user sees, or null if the user may not see invites. */
export async function invitesOf(by: Person, chatId: string): Promise<string[] | null> {
  const document = 'query ($id: ID!) { chat(id: $id) { invites { edges { node { code } } } } }';
  const { chat } = await by.ask(document, { id: chatId });
  return chat.invites?.edges.map(({ node }: Data) => node.code) ?? null;
}
