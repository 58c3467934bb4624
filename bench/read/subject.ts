import { encodeId } from '../../src/core/id.ts';
import type { Person } from '../database.ts';
import type { Rows } from './data.ts';

/** The data that the benchmark reads, which is the same for every server. */
export const subjects = ['page of 50', 'rich page of 50', 'chat list of 20', 'viewer', 'node'] as const;
export type Subject = (typeof subjects)[number];

/** The body of a request, as a JSON string. */
export type Body = (subject: Subject, reader: Person) => string;

const pageInfo = 'pageInfo { hasPreviousPage hasNextPage startCursor }';
const user = 'id username displayName';

/** The documents for parley itself. */
const parleyDocuments: Record<Subject, string> = {
  'page of 50': `query Page($id: ID!) { chat(id: $id) { id messages(last: 50) {
    edges { cursor node { id seq content createdAt sender { ${user} } } } ${pageInfo} } } }`,
  'rich page of 50': `query RichPage($id: ID!) { chat(id: $id) { id messages(last: 50) {
    edges { cursor node { id seq content createdAt editedAt sender { ${user} }
      reactions { emoji count viewerReacted } files { id name contentType size }
      replyTo { id seq content sender { ${user} } } mentions { isEveryone user { ${user} } } } } ${pageInfo} } } }`,
  'chat list of 20': `query Chats { viewer { chats(first: 20) { edges { cursor node {
    id type name lastSeq lastActivityAt memberCount
    lastMessage { id seq content createdAt sender { ${user} } }
    peer { ${user} avatar { id contentType } }
    viewerMembership { lastReadSeq unreadCount }
    members(first: 3) { edges { node { role user { ${user} avatar { id contentType } } } } } } } } } }`,
  viewer: `query Viewer { viewer { user { id username } } }`,
  node: `query Node($id: ID!) { node(id: $id) { id ... on Message { seq content createdAt sender { ${user} } } } }`,
};

/** The same documents for a schema that has lists instead of connections. */
const handWrittenDocuments: Record<Subject, string> = {
  ...parleyDocuments,
  'page of 50': `query Page($id: ID!) { chat(id: $id) { id messages(last: 50) {
    id seq content createdAt sender { ${user} } } } }`,
  'rich page of 50': `query RichPage($id: ID!) { chat(id: $id) { id messages(last: 50) {
    id seq content createdAt editedAt sender { ${user} }
    reactions { emoji count viewerReacted } files { id name contentType size }
    replyTo { id seq content sender { ${user} } } mentions { user { ${user} } } } } }`,
  'chat list of 20': `query Chats { viewer { chats(first: 20) {
    id type name lastSeq lastActivityAt memberCount
    lastMessage { id seq content createdAt sender { ${user} } }
    peer { ${user} avatar { id contentType } }
    viewerMembership { lastReadSeq unreadCount }
    members(first: 3) { role user { ${user} avatar { id contentType } } } } } }`,
};

const theirUser = 'rowId username displayName';
const theirFile = 'rowId blobByBlobHash { contentType }';
const theirMessage = `rowId seq content createdAt userBySenderId { ${theirUser} }`;

/**
 * Similar documents that use PostGraphile's names and select fewer fields. PostGraphile has no viewer, so these
 * documents look the user up by id.
 */
const postgraphileDocuments: Record<Subject, string> = {
  'page of 50': `query Page($id: BigInt!) { chatByRowId(rowId: $id) { rowId messagesByChatId(orderBy: SEQ_DESC, first: 50) {
    edges { cursor node { ${theirMessage} } } ${pageInfo} } } }`,
  'rich page of 50': `query RichPage($id: BigInt!) { chatByRowId(rowId: $id) { rowId messagesByChatId(orderBy: SEQ_DESC, first: 50) {
    edges { cursor node { ${theirMessage} editedAt
      reactionCountsByChatIdAndSeq { nodes { emoji count } }
      filesByMessageId { nodes { rowId name blobByBlobHash { contentType size } } }
      mentionsByChatIdAndSeq { nodes { userByUserId { ${theirUser} } } } } } ${pageInfo} } } }`,
  'chat list of 20': `query Chats($user: BigInt!) { userByRowId(rowId: $user) { membersByUserId(first: 20) { edges { cursor node {
    lastReadSeq
    chatByChatId { rowId type name lastSeq lastActivityAt memberCount
      messagesByChatId(orderBy: SEQ_DESC, first: 1) { nodes { ${theirMessage} } }
      membersByChatId(first: 3) { nodes { role userByUserId { ${theirUser} fileByAvatarFileId { ${theirFile} } } } } } } } } } }`,
  viewer: `query Viewer($user: BigInt!) { userByRowId(rowId: $user) { rowId username } }`,
  node: `query Node($id: BigInt!) { messageByRowId(rowId: $id) { ${theirMessage} } }`,
};

/** The requests to this server. */
export function parleyBody(rows: Rows): Body {
  return (subject) =>
    JSON.stringify({ query: parleyDocuments[subject], variables: { id: idOf(rows, subject, encodeId) } });
}

/** The requests to the hand-written stack. */
export function handWrittenBody(rows: Rows): Body {
  return (subject) =>
    JSON.stringify({ query: handWrittenDocuments[subject], variables: { id: idOf(rows, subject, (_, id) => id) } });
}

/** The requests to PostGraphile. */
export function postgraphileBody(rows: Rows): Body {
  return (subject, { userId }) =>
    JSON.stringify({
      query: postgraphileDocuments[subject],
      variables: { id: idOf(rows, subject, (_, id) => id), user: userId },
    });
}

/** The requests to the floor, which is the server without GraphQL. */
export function floorBody(rows: Rows): Body {
  return (subject, { userId }) => JSON.stringify({ subject, id: idOf(rows, subject, (_, id) => id), userId });
}

function idOf(rows: Rows, subject: Subject, encode: (type: string, id: string) => string): string | undefined {
  if (subject === 'page of 50') return encode('Chat', rows.plainChatId);
  if (subject === 'rich page of 50') return encode('Chat', rows.richChatId);
  return subject === 'node' ? encode('Message', rows.messageId) : undefined;
}
