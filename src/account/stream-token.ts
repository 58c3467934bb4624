import { errors, SignJWT } from 'jose';
import { Unauthenticated } from '../errors.ts';
import type { Accounts } from './account.ts';
import { jwtIssuer, verifyJwt } from './jwt.ts';
import type { Asker } from '../core/asker.ts';

/** Differs from an access token's: neither token is valid in place of the other. */
const audience = 'parley/stream';
const never = new Date(8.64e15);

/**
 * Issues a token for the query string of an EventSource, which sends no headers and reconnects to the same URL. It is valid
 * for subscriptions, as long as the asker's session is live.
 */
export async function issueStreamToken({ keys }: Accounts, asker: Asker): Promise<string> {
  return new SignJWT({ sid: String(asker.sessionId) })
    .setProtectedHeader({ alg: 'EdDSA', kid: keys.signing.kid, typ: 'JWT' })
    .setIssuer(jwtIssuer)
    .setAudience(audience)
    .setSubject(String(asker.userId))
    .setIssuedAt()
    .sign(keys.signing.key);
}

/** The asker of a stream token. Throws Unauthenticated for an invalid token, or when its session has ended. */
export async function authenticateStream(accounts: Accounts, token: string): Promise<Asker> {
  const asker = await verify(accounts, token);
  if (!(await accounts.sessions.isLive(asker))) throw new Unauthenticated('The session has ended: sign in again.');
  return asker;
}

async function verify({ keys }: Accounts, token: string): Promise<Asker> {
  const bad = () => new Unauthenticated('The stream token is not valid: request a new one with `streamToken`.');
  try {
    const payload = await verifyJwt(keys, token, { audience, requiredClaims: ['sub', 'sid'] });
    const userId = /^\d{1,19}$/.exec(payload.sub ?? '')?.[0];
    const sessionId = /^\d{1,19}$/.exec(String(payload['sid']))?.[0];
    if (userId === undefined || sessionId === undefined) throw bad();
    return { kind: 'SESSION', userId: BigInt(userId), sessionId: BigInt(sessionId), expiresAt: never };
  } catch (error) {
    if (error instanceof errors.JOSEError) throw bad();
    throw error;
  }
}
