import { memberScopes, type Scope } from './scope.ts';

/**
 * Who makes a request on behalf of a user: the user on one of their devices, or a
 * program with an API key that speaks for its bot or acts as a user. The rules take an asker and decide by `userId`,
 * the user on whose behalf the request is made, and by what a key's scopes leave of that user's rights.
 */
export type Asker = SessionAsker | KeyAsker;

/** A user signed in on one device (`sessionId`) with an access token that is valid until `expiresAt`. */
export type SessionAsker = {
  kind: 'SESSION';
  userId: bigint;
  sessionId: bigint;
  expiresAt: Date;
  /**
   * For accounts without a password: until when this token serves as proof in operations that would otherwise ask for
   * one. That is five minutes after another system issued the token. Our own access tokens never serve as such proof.
   */
  provenUntil?: Date;
};

/**
 * An API key: what it may do, the bot that it speaks for (null for a server key), and when it expires. `onlyWrites`:
 * the key of an incoming webhook, which can only write messages, and whose `@everyone` notifies no one.
 */
export type KeyGrant = {
  keyId: bigint;
  scopes: ReadonlySet<Scope>;
  botId: bigint | null;
  expiresAt: Date;
  onlyWrites?: true;
};

/**
 * A program that makes requests as a user: as its bot, or (`isActing`) as one that it names with `parley-act-as`. For
 * each user, the key has a session of its own, which ends with the key and whenever the user's sessions end.
 */
export type KeyAsker = KeyGrant & { kind: 'KEY'; userId: bigint; sessionId: bigint; isActing: boolean };

/**
 * A program with a server key that names no user. It can do only what requires no user. `botSessionId`: set for a bot's
 * key that reads the whole server. Its subscriptions end with that session: when the bot is suspended, for example.
 */
export type ServerKey = KeyGrant & { kind: 'KEY'; userId: null; botSessionId?: bigint };

/** A program with an API key. */
export type Program = KeyAsker | ServerKey;

/** Any caller that is identified by what it sends: an asker, or a server key that speaks for no user. */
export type Caller = Asker | ServerKey;

/** The `expiresAt` of a key that never expires. */
export const never = new Date(8.64e15);

/** Whether the caller makes requests on behalf of a user. */
export function hasUser(caller: Caller): caller is Asker {
  return caller.userId !== null;
}

/**
 * Whether a program may use the scope on what its user can see: its key has the scope, or it is a bot, which is a member
 * of chats like any user. For requests about the whole server, check `program.scopes` instead.
 */
export function opens(program: Program, scope: Scope): boolean {
  return program.scopes.has(scope) || (isBot(program) && memberScopes.has(scope));
}

/** Whether a program speaks for its bot. */
export function isBot(program: Program): boolean {
  return program.userId !== null && !program.isActing;
}

/**
 * Returns the same string for askers who see the same data: a cache key for what was read for one of them. A program
 * sees less than its user.
 */
export function askerKey(asker: Caller): string {
  if (asker.userId === null) return `key ${asker.keyId}`;
  return asker.kind === 'KEY' ? `${asker.userId} by ${asker.keyId}` : String(asker.userId);
}

/** Returns the same string for all requests of a session: a key for what the user's other sessions must not get. */
export function sessionKey(asker: Caller): string {
  return asker.userId === null ? askerKey(asker) : `${askerKey(asker)} ${asker.sessionId}`;
}

/**
 * The id under which the processor time for rendering a caller's events is counted: the user's id, or an odd negative
 * number for a server key. Negative numbers that are even stand for webhooks.
 */
export function payerOf({ userId, ...caller }: Caller): bigint {
  return userId ?? ('keyId' in caller ? -(2n * caller.keyId + 1n) : 0n);
}

/** Returns the same string for requests that take turns and share quotas: those of one user, or of one server key. */
export function callerKey(caller: Caller): string {
  return caller.userId === null ? `key ${caller.keyId}` : String(caller.userId);
}

/** A caller as the log names it: by the ids of its user and, for a program, of its API key. */
export function describeCaller(caller: Caller | null): { userId?: string; keyId?: string } {
  if (caller === null) return {};
  return {
    ...(caller.userId !== null && { userId: String(caller.userId) }),
    ...('keyId' in caller && { keyId: String(caller.keyId) }),
  };
}
