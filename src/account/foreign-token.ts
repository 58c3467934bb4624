import { decodeJwt, errors, jwtVerify, type JWTPayload, type JWTVerifyGetKey } from 'jose';
import { decodeBase64url } from '../core/base64url.ts';
import { isRecord } from '../core/json.ts';
import { Unauthenticated } from '../errors.ts';
import { claimAt, readIdentifier, readProfile, type ClaimedProfile } from './claim.ts';
import type { Issuer } from './issuer.ts';
import { findKeysOf, type KeySource } from './issuer-keys.ts';

/** A verified token from an issuer, with its user, session and claims. */
export type ForeignToken = {
  issuer: string;
  subject: string;
  sessionKey: string;
  issuedAt: Date;
  expiresAt: Date;
  profile: ClaimedProfile;
};

/** A logout token (OpenID Connect Back-Channel Logout 1.0, 2.4): `sessionKey` or `subject` identifies what to end. */
export type LogoutToken = {
  issuer: string;
  jti: string;
  subject: string | null;
  sessionKey: string | null;
};

/** Enough for any token with a list of permissions. The headers of a request are limited to 16 KB in total. */
const maxTokenLength = 8_192;
/**
 * The tolerated difference between the issuer's clock and this machine's clock when the expiry of a token or the age of
 * a logout token is checked, in seconds.
 */
const clockToleranceS = 5;
/** How far in the future the issue time of a token may be, in seconds, because the issuer's clock may be ahead. */
const maxAheadS = 60;
/** The maximum lifetime of a token. The server remembers for longer than this that a session or a user was ended. */
const maxLifetimeS = 30 * 24 * 60 * 60;
/** The maximum age of a logout token, in seconds. */
const maxLogoutAgeS = 5 * 60;
const logoutEvent = 'http://schemas.openid.net/event/backchannel-logout';

/**
 * How long the `jti` of a logout token is remembered, as a PostgreSQL interval. This is longer than the time for which
 * the token is accepted.
 */
export const logoutMemory = `${2 * (maxLogoutAgeS + maxAheadS)} seconds`;

type KnownIssuer = Issuer & { findKey: JWTVerifyGetKey };

/**
 * Verifies the tokens of the issuers in AUTH_ISSUERS. Each issuer's tokens are verified only with that issuer's own
 * keys.
 */
export class ForeignTokens {
  readonly #issuers: ReadonlyMap<string, KnownIssuer>;

  constructor(issuers: readonly Issuer[], source: KeySource) {
    this.#issuers = new Map(
      issuers.map((issuer) => [issuer.issuer, { ...issuer, findKey: findKeysOf(issuer, source) }]),
    );
  }

  /** Whether this server accepts tokens from any issuer. */
  get isOn(): boolean {
    return this.#issuers.size > 0;
  }

  /** Returns whether the token claims to come from one of the issuers. Only `verify` checks whether that is true. */
  claimsIssuer(token: string): boolean {
    return this.isOn && this.#issuerOf(token) !== undefined;
  }

  /**
   * Throws Unauthenticated if the token is expired, forged or meant for another audience, or lacks a subject or a
   * required claim. Throws IssuerUnavailable while the keys of its issuer cannot be fetched.
   */
  async verify(token: string): Promise<ForeignToken> {
    const issuer = this.#issuerOf(token);
    if (issuer === undefined) throw bad('is not from an issuer of this server');
    const payload = await verifyJwt(token, issuer, issuer.audiences);
    const subject = readIdentifier(claimAt(payload, issuer.claims.subject));
    if (subject === null) throw bad('has no usable subject');
    // A logout token reports the end of a session, so it must not start a session.
    if (payload['events'] !== undefined) throw bad('is not an access token');
    const { exp = 0, iat = 0 } = payload;
    if (exp - iat > maxLifetimeS) throw bad('is valid for more than 30 days');
    return {
      issuer: issuer.issuer,
      subject,
      sessionKey: sessionKeyOf(payload, { issuer, subject }),
      issuedAt: new Date(iat * 1000),
      expiresAt: new Date(exp * 1000),
      profile: readProfile(payload, issuer),
    };
  }

  /**
   * Verifies a logout token in the same way (section 2.6 of the specification). Does not check that its `jti` is new.
   */
  async verifyLogout(token: string): Promise<LogoutToken> {
    const issuer = this.#issuerOf(token);
    if (issuer === undefined) throw bad('is not from an issuer of this server');
    const payload = await verifyJwt(token, issuer, issuer.logoutAudiences, {
      requiredClaims: ['iat', 'jti', 'events'],
    });
    const { events, iat = 0 } = payload;
    if (!isRecord(events) || !isRecord(events[logoutEvent])) throw bad('is not a logout token');
    if (payload['nonce'] !== undefined) throw bad('has a nonce, which a logout token must not have');
    if (nowS() - iat > maxLogoutAgeS + clockToleranceS) throw bad('is too old');
    const jti = readIdentifier(payload.jti);
    if (jti === null) throw bad('has no usable jti');
    const subject = readIdentifier(claimAt(payload, issuer.claims.subject));
    const sessionId = readIdentifier(payload['sid']);
    if (subject === null && sessionId === null) throw bad('names neither a session nor a subject');
    return { issuer: issuer.issuer, jti, subject, sessionKey: sessionId === null ? null : `sid:${sessionId}` };
  }

  #issuerOf(token: string): KnownIssuer | undefined {
    if (token.length > maxTokenLength) return undefined;
    try {
      return this.#issuers.get(String(decodeJwt(token).iss));
    } catch (error) {
      if (error instanceof errors.JOSEError || error instanceof TypeError) return undefined;
      throw error;
    }
  }
}

/** Returns the key under which all tokens of a subject are refused. */
export function subjectKey(subject: string): string {
  return `subject:${subject}`;
}

/**
 * Returns what identifies a token's session: its `sid`, or else the claim named in the issuer's settings, or else the
 * user and the time of the sign-in, or else the user alone. Never uses `jti`, which differs in each token.
 */
function sessionKeyOf(payload: JWTPayload, { issuer, subject }: { issuer: Issuer; subject: string }): string {
  const { session } = issuer.claims;
  const id = readIdentifier(payload['sid']) ?? (session === null ? null : readIdentifier(claimAt(payload, session)));
  if (id !== null) return `sid:${id}`;
  const signedInAt = payload['auth_time'];
  return Number.isSafeInteger(signedInAt) ? `auth_time:${String(signedInAt)}:${subject}` : `unnamed:${subject}`;
}

async function verifyJwt(
  token: string,
  { issuer, algorithms, findKey }: KnownIssuer,
  audience: string[],
  { requiredClaims = ['exp', 'iat'] }: { requiredClaims?: string[] } = {},
): Promise<JWTPayload> {
  // jose ignores the unused bits of the last character, so without this check, several strings would count as the same
  // token.
  if (!token.split('.').every((part) => decodeBase64url(part))) throw bad('is not a JWT');
  try {
    const { payload } = await jwtVerify(token, findKey, {
      algorithms,
      issuer,
      audience,
      requiredClaims,
      clockTolerance: clockToleranceS,
    });
    if ((payload.iat ?? 0) > nowS() + maxAheadS) throw bad('is from the future');
    return payload;
  } catch (error) {
    if (error instanceof errors.JWTExpired) throw bad('has expired: request a new one from its issuer', error);
    if (error instanceof errors.JWTClaimValidationFailed) throw bad(claimProblem(error), error);
    if (error instanceof errors.JOSEError) throw bad('is not valid', error);
    throw error;
  }
}

/**
 * Describes what is wrong with a claim. The signature has been verified by then, so this message reaches only clients
 * that have a token from the issuer.
 */
function claimProblem({ claim, reason }: errors.JWTClaimValidationFailed): string {
  if (reason === 'missing') return `has no claim ${claim}`;
  return claim === 'aud'
    ? 'is for another audience: the server expects another `aud`'
    : `has an invalid claim ${claim}`;
}

const nowS = () => Math.floor(Date.now() / 1000);

function bad(problem: string, cause?: unknown): Unauthenticated {
  return new Unauthenticated(`The token ${problem}.`, { cause });
}
