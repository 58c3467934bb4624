import { Kind, parse, validate, type GraphQLSchema } from 'graphql';
import type { PreparedOperation } from '../../api/document.ts';

/**
 * The objects of the REST API. Each fragment has the name of the corresponding schema in openapi.json. Links to files
 * are valid for one session only. Many receivers share the results of event documents, so these documents do not
 * include links.
 */
const fragments: Readonly<Record<string, string>> = {
  Author: 'on User { id key username displayName }',
  User: 'on User { id key username displayName avatar { ...Picture } custom createdAt }',
  // Omits the fields that depend on the asker, which are links and a membership, because a server key has neither.
  PlainUser: 'on User { id key username displayName custom createdAt }',
  Me: `on Viewer {
    id email isEmailVerified hasPassword serverRole unreadChatCount eventCursor user { ...User }
  }`,
  Session: 'on Session { id userAgent isCurrent createdAt lastUsedAt }',
  Picture: 'on File { id url thumbnailUrl(size: SMALL) width height blurhash }',
  File: 'on File { id name contentType size url thumbnailUrl(size: LARGE) width height blurhash note }',
  Chat: `on Chat {
    id key type name description avatar { ...Picture } memberCount lastSeq slowModeSeconds custom createdAt
    viewerMembership { ...Membership }
  }`,
  Membership: `on Member {
    role joinedAt lastReadSeq unreadCount unreadMentionCount notificationLevel mutedUntil
  }`,
  Member: 'on Member { user { ...User } role joinedAt lastReadSeq mutedUntil }',
  Message: `on Message {
    id chat { id } seq kind content sender { ...Author } files { ...File } reactions { emoji count viewerReacted }
    mentions { isEveryone user { ...Author } } replyTo { id seq } custom clientMessageId createdAt editedAt deletedAt
  }`,
  PlainChat: 'on Chat { id key type name description memberCount lastSeq slowModeSeconds custom createdAt }',
  EventMember: 'on Member { chat { id } user { ...Author } role joinedAt mutedUntil }',
  EventFile: 'on File { id name contentType size width height blurhash }',
  EventMessage: `on Message {
    id chat { id } seq kind content sender { ...Author } files { ...EventFile } mentions { isEveryone user { ...Author } }
    replyTo { id seq } custom clientMessageId createdAt editedAt deletedAt
  }`,
  Problem: `on Error {
    problem: code detail: message
    ... on InvalidInput { fields { path code message } }
    ... on Conflict { taken: fields }
    ... on Forbidden { until reason }
  }`,
};

const prepared = new WeakMap<GraphQLSchema, Map<string, PreparedOperation>>();

/**
 * Prepares a stored document and the fragments that it uses. Each document is prepared once per schema, and cached
 * outside the cache of clients' documents, whose entries could evict it.
 */
export function prepareStored(schema: GraphQLSchema, document: string): PreparedOperation {
  let known = prepared.get(schema);
  if (known === undefined) prepared.set(schema, (known = new Map()));
  let operation = known.get(document);
  if (operation === undefined) known.set(document, (operation = prepare(schema, document)));
  return operation;
}

function prepare(schema: GraphQLSchema, text: string): PreparedOperation {
  const document = parse(withFragments(text), { noLocation: true });
  const [error] = validate(schema, document);
  const [operation] = document.definitions;
  if (error !== undefined || operation?.kind !== Kind.OPERATION_DEFINITION) {
    throw new Error(`a stored document is not valid: ${error?.message}: ${text}`);
  }
  return { document, operation };
}

function withFragments(text: string): string {
  const used = new Set<string>();
  const add = (part: string) => {
    for (const [, name = ''] of part.matchAll(/\.\.\.([A-Z]\w*)/g)) {
      if (used.has(name)) continue;
      used.add(name);
      add(fragments[name] ?? '');
    }
  };
  add(text);
  return [text, ...[...used].map((name) => `fragment ${name} ${fragments[name]}`)].join('\n');
}
