/**
 * Who makes a request: a user signed in on one device (`sessionId`) with an access token that is valid until
 * `expiresAt`. Every rule takes an asker and decides by `userId`, the user on whose behalf the request is made.
 * Programs with a key, and programs acting for a user, will be further kinds.
 */
export type Asker = {
  kind: 'SESSION';
  userId: bigint;
  sessionId: bigint;
  expiresAt: Date;
  /**
   * Until when the token stands in for a password, in operations that ask an account without one to prove that it is its
   * user: five minutes after another system has issued the token. Our own access tokens prove nothing.
   */
  provenUntil?: Date;
};

/** Returns the same string for askers who see the same data: a cache key for what was read for one of them. */
export function askerKey({ userId }: Asker): string {
  return String(userId);
}

/** Returns the same string for requests of one session: a key for what the user's other sessions must not get. */
export function sessionKey(asker: Asker): string {
  return `${askerKey(asker)} ${asker.sessionId}`;
}
