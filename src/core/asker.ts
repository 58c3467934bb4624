/**
 * Who asks: a person, signed in on one device (`sessionId`) with an access token that is good until `expiresAt`. Every
 * rule takes an asker and decides by `userId`, the person on whose behalf it is asked. Programs with a key, and programs
 * acting as a person, will be further kinds.
 */
export type Asker = { kind: 'SESSION'; userId: bigint; sessionId: bigint; expiresAt: Date };

/** The same string for askers who see the same: the key of what was read for one of them. */
export function askerKey({ userId }: Asker): string {
  return String(userId);
}
