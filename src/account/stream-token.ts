import { errors, SignJWT } from 'jose';
import { Unauthenticated } from '../errors.ts';
import type { Accounts } from './account.ts';
import { jwtIssuer, verifyJwt } from './jwt.ts';
import { never, type Asker, type SessionAsker } from '../core/asker.ts';

/** Differs from the audience of access tokens, so that neither kind of token is valid in place of the other. */
const audience = 'parley/stream';

/**
 * An asker who is identified by a stream token. A token of an earlier generation than its session's is no longer valid.
 */
export type StreamAsker = SessionAsker & { streamTokenGeneration: number };

/**
 * Issues a token for the query string of an EventSource, which sends no headers and reconnects to the same URL. The
 * token is valid for subscriptions only, until the session ends, its user changes the password, or a day passes without
 * a refresh.
 */
export async function issueStreamToken({ db, keys }: Accounts, { userId, sessionId }: Asker): Promise<string> {
  const session = await db.prisma.session.findUnique({ where: { id: sessionId } });
  if (session === null) throw new Unauthenticated('The session has ended: sign in again.');
  return new SignJWT({ sid: String(sessionId), gen: session.streamTokenGeneration })
    .setProtectedHeader({ alg: 'EdDSA', kid: keys.signing.kid, typ: 'JWT' })
    .setIssuer(jwtIssuer)
    .setAudience(audience)
    .setSubject(String(userId))
    .setIssuedAt()
    .sign(keys.signing.key);
}

/** Returns the asker that a stream token identifies. Throws Unauthenticated if the token is invalid. */
export async function authenticateStream(accounts: Accounts, token: string): Promise<StreamAsker> {
  const asker = await verify(accounts, token);
  if (!(await isStreamTokenLive(accounts, asker))) throw bad();
  return asker;
}

/**
 * Returns whether the asker's stream token is still valid. When the token becomes invalid, the streams that it opened
 * end.
 */
export function isStreamTokenLive({ sessions }: Accounts, asker: StreamAsker): Promise<boolean> {
  return sessions.takesStreamToken(asker, asker.streamTokenGeneration);
}

async function verify({ keys }: Accounts, token: string): Promise<StreamAsker> {
  try {
    const payload = await verifyJwt(keys, token, { audience, requiredClaims: ['sub', 'sid', 'gen'] });
    const userId = /^\d{1,19}$/.exec(payload.sub ?? '')?.[0];
    const sessionId = /^\d{1,19}$/.exec(String(payload['sid']))?.[0];
    const generation = payload['gen'];
    if (userId === undefined || sessionId === undefined || typeof generation !== 'number') throw bad();
    return {
      kind: 'SESSION',
      userId: BigInt(userId),
      sessionId: BigInt(sessionId),
      expiresAt: never,
      streamTokenGeneration: generation,
    };
  } catch (error) {
    if (error instanceof errors.JOSEError) throw bad();
    throw error;
  }
}

function bad(): Unauthenticated {
  return new Unauthenticated('The stream token is not valid: request a new one with `streamToken`.');
}
