import { memberScopes, type Scope } from './scope.ts';

/**
 * The party that makes a request on behalf of a user: either the user, on one of their devices, or a program with an
 * API key, which acts for its bot or as a user. Access rules take an asker as a parameter. They depend on `userId`, the
 * user on whose behalf the request is made, and on which of that user's rights the scopes of a key include.
 */
export type Asker = SessionAsker | KeyAsker;

/** A user who is signed in on one device (`sessionId`), with an access token that is valid until `expiresAt`. */
export type SessionAsker = {
  kind: 'SESSION';
  userId: bigint;
  sessionId: bigint;
  expiresAt: Date;
  /**
   * For accounts without a password: until when this token counts as proof of identity in operations that otherwise ask
   * for a password. This is five minutes after another system issued the token. Access tokens that this server issued
   * never count as proof.
   */
  provenUntil?: Date;
};

/**
 * An API key: its scopes, the bot that it belongs to (null for a server key), and when it expires. `onlyWrites` marks
 * the key of an incoming webhook. Such a key can only write messages, and its `@everyone` notifies no one.
 */
export type KeyGrant = {
  keyId: bigint;
  scopes: ReadonlySet<Scope>;
  botId: bigint | null;
  expiresAt: Date;
  onlyWrites?: true;
};

/**
 * A program that makes requests as a user: as its bot, or (`isActing`) as a user that it names with `parley-act-as`.
 * For each user, the key has a separate session, which ends when the key ends or when the user's sessions end.
 */
export type KeyAsker = KeyGrant & { kind: 'KEY'; userId: bigint; sessionId: bigint; isActing: boolean };

/**
 * A program with a server key that does not name a user. It can do only things that require no user. `botSessionId` is
 * set if a bot's key reads the whole server. The key's subscriptions end with that session, for example when the bot is
 * suspended.
 */
export type ServerKey = KeyGrant & { kind: 'KEY'; userId: null; botSessionId?: bigint };

/** A program with an API key. */
export type Program = KeyAsker | ServerKey;

/** A caller that has identified itself: an asker, or a server key that does not act for a user. */
export type Caller = Asker | ServerKey;

/** The `expiresAt` of a key that never expires. */
export const never = new Date(8.64e15);

/** Returns whether the caller makes requests on behalf of a user. */
export function hasUser(caller: Caller): caller is Asker {
  return caller.userId !== null;
}

/**
 * Returns whether a program may use the scope on data that its user can see. It may if its key has the scope, or if it
 * is a bot, because a bot is a member of chats like any user. For requests about the whole server, check
 * `program.scopes` instead.
 */
export function opens(program: Program, scope: Scope): boolean {
  return program.scopes.has(scope) || (isBot(program) && memberScopes.has(scope));
}

/** Returns whether a program acts as its bot. */
export function isBot(program: Program): boolean {
  return program.userId !== null && !program.isActing;
}

/**
 * Returns the same string for all askers who see the same data. Use the string as a cache key for data that was read
 * for one of these askers. A program may see less than its user.
 */
export function askerKey(asker: Caller): string {
  if (asker.userId === null) return `key ${asker.keyId}`;
  return asker.kind === 'KEY' ? `${asker.userId} by ${asker.keyId}` : String(asker.userId);
}

/**
 * Returns the same string for all requests of a session. Use the string as a key for data that must not reach the
 * user's other sessions.
 */
export function sessionKey(asker: Caller): string {
  return asker.userId === null ? askerKey(asker) : `${askerKey(asker)} ${asker.sessionId}`;
}

/**
 * Returns the id to which the processor time for rendering a caller's events is charged: the user's id, or a negative
 * odd number for a server key. Negative even numbers stand for webhooks.
 */
export function payerOf({ userId, ...caller }: Caller): bigint {
  return userId ?? ('keyId' in caller ? -(2n * caller.keyId + 1n) : 0n);
}

/**
 * Returns the same string for requests that share turns and quotas, which are the requests of one user or of one server
 * key.
 */
export function callerKey(caller: Caller): string {
  return caller.userId === null ? `key ${caller.keyId}` : String(caller.userId);
}

/** Returns the caller in the form that the log uses: the ids of its user and, for a program, of its API key. */
export function describeCaller(caller: Caller | null): { userId?: string; keyId?: string } {
  if (caller === null) return {};
  return {
    ...(caller.userId !== null && { userId: String(caller.userId) }),
    ...('keyId' in caller && { keyId: String(caller.keyId) }),
  };
}
