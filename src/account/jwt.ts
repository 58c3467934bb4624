import { errors, jwtVerify, type JWTPayload } from 'jose';
import { decodeBase64url } from '../core/base64url.ts';
import type { AccessTokenKeys } from './token-key.ts';

const maxTokenLength = 2_048;

/**
 * Returns the claims of a JWT (RFC 7519) that one of our keys has signed with EdDSA for this audience. Throws jose's
 * JWTExpired for an expired token, and other jose errors for any other invalid token. Accepts only one spelling of a
 * signature: the last character of base64url has unused bits, which jose would ignore.
 */
export async function verifyJwt(
  keys: AccessTokenKeys,
  token: string,
  { audience, requiredClaims }: { audience: string; requiredClaims: string[] },
): Promise<JWTPayload> {
  const isWellFormed = token.length <= maxTokenLength && token.split('.').every((part) => decodeBase64url(part));
  if (!isWellFormed) throw new errors.JWTInvalid('not in the form in which JWTs are issued');
  const keyCalled = ({ kid }: { kid?: string }) => {
    const key = keys.verifying.get(kid ?? '');
    if (key === undefined) throw new errors.JWKSNoMatchingKey();
    return key;
  };
  const { payload } = await jwtVerify(token, keyCalled, {
    algorithms: ['EdDSA'],
    issuer: jwtIssuer,
    audience,
    requiredClaims,
  });
  return payload;
}

/** The issuer of every JWT. A token of another service is not valid here, even if it is signed with our keys. */
export const jwtIssuer = 'parley';
