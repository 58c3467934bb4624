/**
 * All scopes that an API key can have, in the order in which the API lists them. A scope is something that a program
 * may do with the key. The list must match the enum `scope` in the database.
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

/** The scopes that a bot always has as a member of chats, like any other member, no matter which scopes its key has. */
export const memberScopes: ReadonlySet<Scope> = new Set([
  'USERS_READ',
  'CHATS_READ',
  'CHATS_WRITE',
  'MESSAGES_READ',
  'MESSAGES_WRITE',
]);
