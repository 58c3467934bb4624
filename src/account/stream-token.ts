import { errors, SignJWT } from 'jose';
import { Unauthenticated } from '../errors.ts';
import type { Accounts } from './account.ts';
import { jwtIssuer, verifyJwt } from './jwt.ts';
import type { Asker } from '../core/asker.ts';

/** Not an access token's: neither is good in the other's place. */
const audience = 'parley/stream';
const never = new Date(8.64e15);

/**
 * A token for the query string of an EventSource, which sends no headers and reconnects to the same URL: good for
 * subscriptions as long as the viewer's session lives, and ended with it.
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

/** Whom a stream token stands for. Throws Unauthenticated for a bad one, or when its session has ended. */
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
