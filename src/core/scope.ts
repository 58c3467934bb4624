/**
 * What a program may do with its API key: all scopes, in the order in which the API lists them. Must match the enum
 * `scope`.
 */
export const scopes = [
  'USERS_READ',
  'USERS_WRITE',
  'CHATS_READ',
  'CHATS_WRITE',
  'MESSAGES_READ',
  'MESSAGES_WRITE',
  'WEBHOOKS',
  'ACT_AS',
  'MODERATE',
  'ADMIN',
] as const;

/** One thing that a program may do with its API key. */
export type Scope = (typeof scopes)[number];

/** What a bot may do as a member of chats, like anyone else, whatever the scopes of its key. */
export const memberScopes: ReadonlySet<Scope> = new Set([
  'USERS_READ',
  'CHATS_READ',
  'CHATS_WRITE',
  'MESSAGES_READ',
  'MESSAGES_WRITE',
]);
