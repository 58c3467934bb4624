import { createPublicKey } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { JWK } from 'jose';
import { z } from 'zod';
import { decodeBase64url } from '../core/base64url.ts';
import { isLoopback } from '../core/address-range.ts';
import { jwtIssuer } from './jwt.ts';

/** The claim that each property is read from, as a name or a dotted path; null if no claim provides the property. */
export type ClaimNames = {
  subject: string;
  username: string | null;
  displayName: string | null;
  email: string | null;
  emailVerified: string | null;
  picture: string | null;
  custom: string | null;
  /** The claim with the session's key, for tokens without `sid`. */
  session: string | null;
};

/**
 * The claim whose values grant roles on the server, and the value for each role; null for a role that the issuer does
 * not grant.
 */
export type RoleClaim = { claim: string; ADMIN: string | null; MODERATOR: string | null };

/** The source of an issuer's keys: a URL with a JWK set, a fixed set of public keys, or shared secrets. */
export type IssuerKeys =
  | { kind: 'URL'; url: URL }
  | { kind: 'PUBLIC'; keys: JWK[] }
  | { kind: 'SECRET'; keys: { kid: string | null; secret: Buffer }[] };

/**
 * Another system whose users can use this server. The server accepts its tokens if they match all of these properties.
 */
export type Issuer = {
  issuer: string;
  audiences: string[];
  /** The audiences of its logout tokens (OpenID Connect Back-Channel Logout 1.0). */
  logoutAudiences: string[];
  keys: IssuerKeys;
  algorithms: string[];
  claims: ClaimNames;
  /** Null for an issuer that grants no roles. */
  serverRoles: RoleClaim | null;
};

/** The maximum length of an issuer, a subject or a session's key, in characters. */
export const maxIdentifierLength = 255;

const asymmetric = [
  ...['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512'],
  ...['ES256', 'ES384', 'ES512', 'EdDSA', 'Ed25519'],
] as const;
/**
 * The minimum length of the key for each algorithm, in bytes, which is the length of the hash (RFC 7518, section 3.2).
 */
const symmetric = { HS256: 32, HS384: 48, HS512: 64 } as const;
const minRsaBits = 2_048;

const maxIssuers = 50;
const maxKeys = 20;

const name = z.string().min(1).max(maxIdentifierLength);
const audience = z.union([name.transform((one) => [one]), z.array(name).min(1).max(20)]);
const claim = z.string().min(1).max(maxIdentifierLength).nullable();

const claimSettings = z
  .strictObject({
    subject: z.string().min(1).max(maxIdentifierLength).default('sub'),
    username: claim.default('preferred_username'),
    displayName: claim.default('name'),
    email: claim.default('email'),
    emailVerified: claim.default('email_verified'),
    picture: claim.default('picture'),
    custom: claim.default(null),
    session: claim.default(null),
  })
  .prefault({});

const roleSettings = z
  .strictObject({ claim: name, ADMIN: name.nullable().default(null), MODERATOR: name.nullable().default(null) })
  .refine(({ ADMIN, MODERATOR }) => ADMIN !== null || MODERATOR !== null, {
    error: 'names no value for ADMIN or MODERATOR',
  });

const issuerSettings = z
  .strictObject({
    issuer: name.refine((value) => value !== jwtIssuer, { error: `"${jwtIssuer}" is this server's own name` }),
    audience,
    logoutAudience: audience.optional(),
    jwks: z.string().optional(),
    keys: z.strictObject({ keys: z.array(z.record(z.string(), z.unknown())).min(1).max(maxKeys) }).optional(),
    algorithms: z.array(z.string()).min(1).max(20).optional(),
    claims: claimSettings,
    serverRoles: roleSettings.nullable().default(null),
  })
  .transform((given, context): Issuer => {
    const problems: string[] = [];
    const keys = readKeys(given, problems);
    const algorithms = readAlgorithms(given.algorithms, keys, problems);
    for (const problem of problems) context.addIssue(problem);
    return {
      issuer: given.issuer,
      audiences: given.audience,
      logoutAudiences: given.logoutAudience ?? given.audience,
      keys,
      algorithms,
      claims: given.claims,
      serverRoles: given.serverRoles,
    };
  });

/**
 * Reads a JSON list of issuers from the setting, which is either the JSON itself or the path of a file. Throws an Error
 * that says what is wrong with the list, without quoting any key.
 */
export function parseIssuers(setting: string): Issuer[] {
  const parsed = z.array(issuerSettings).min(1).max(maxIssuers).safeParse(readJson(setting));
  if (!parsed.success) throw new Error(parsed.error.issues.map(describe).join('; '));
  const names = parsed.data.map(({ issuer }) => issuer);
  const repeated = names.find((each, index) => names.indexOf(each) < index);
  if (repeated !== undefined) throw new Error(`the issuer ${repeated} is listed twice`);
  return parsed.data;
}

function describe({ path, message }: { path: PropertyKey[]; message: string }): string {
  const place = path.map((part) => (typeof part === 'number' ? `[${part}]` : `.${String(part)}`)).join('');
  return place === '' ? message : `${place.replace(/^\./, '')}: ${message}`;
}

function readJson(setting: string): unknown {
  const isInline = setting.trimStart().startsWith('[');
  let text = setting;
  if (!isInline) {
    try {
      text = readFileSync(setting, 'utf8');
    } catch (error) {
      throw new Error(`the file cannot be read (${String((error as NodeJS.ErrnoException).code)})`, { cause: error });
    }
  }
  try {
    return JSON.parse(text);
  } catch {
    // The error message of JSON.parse quotes its input, which may contain a secret.
    throw new Error(isInline ? 'it is not JSON' : 'the file does not contain JSON');
  }
}

function readKeys(
  { jwks, keys }: { jwks?: string | undefined; keys?: { keys: Record<string, unknown>[] } | undefined },
  problems: string[],
): IssuerKeys {
  if (jwks !== undefined && keys === undefined) return { kind: 'URL', url: readUrl(jwks, problems) };
  if (keys === undefined || jwks !== undefined) {
    problems.push('needs either jwks, the URL of its keys, or keys, a JWK set');
    return { kind: 'PUBLIC', keys: [] };
  }
  const secrets = keys.keys.filter(({ kty }) => kty === 'oct');
  if (secrets.length > 0 && secrets.length < keys.keys.length) {
    problems.push('keys has both shared secrets (oct) and public keys, which one issuer must not');
  }
  if (secrets.length > 0)
    return { kind: 'SECRET', keys: secrets.map((key, index) => readSecret(key, index, problems)) };
  for (const [index, key] of keys.keys.entries()) checkPublicKey(key, index, problems);
  return { kind: 'PUBLIC', keys: keys.keys };
}

function readUrl(text: string, problems: string[]): URL {
  const url = URL.parse(text);
  const isLocal =
    url?.protocol === 'http:' && (url.hostname === 'localhost' || isLoopback(url.hostname.replace(/[[\]]/g, '')));
  if (url === null || (url.protocol !== 'https:' && !isLocal)) {
    problems.push('jwks is not an https: URL (http: is only for this machine, such as http://localhost:8080/jwks)');
    return new URL('https://invalid.invalid');
  }
  if (url.username !== '' || url.password !== '') problems.push('jwks contains a user name or a password');
  return url;
}

function readSecret(
  { k, kid }: Record<string, unknown>,
  index: number,
  problems: string[],
): { kid: string | null; secret: Buffer } {
  const secret = typeof k === 'string' ? decodeBase64url(k) : null;
  if (secret === null) problems.push(`keys.keys[${index}].k is not base64url`);
  if (kid !== undefined && typeof kid !== 'string') problems.push(`keys.keys[${index}].kid is not a string`);
  return { kid: typeof kid === 'string' ? kid : null, secret: secret ?? Buffer.alloc(0) };
}

function checkPublicKey(jwk: Record<string, unknown>, index: number, problems: string[]): void {
  if ('d' in jwk) {
    problems.push(`keys.keys[${index}] has its private part (d): list the public key only`);
    return;
  }
  try {
    const key = createPublicKey({ key: jwk, format: 'jwk' });
    const bits = key.asymmetricKeyDetails?.modulusLength;
    if (bits !== undefined && bits < minRsaBits) problems.push(`keys.keys[${index}] has fewer than ${minRsaBits} bits`);
  } catch {
    problems.push(`keys.keys[${index}] is not a complete public key`);
  }
}

function readAlgorithms(given: string[] | undefined, keys: IssuerKeys, problems: string[]): string[] {
  if (keys.kind !== 'SECRET') {
    const refused = given?.find((each) => !asymmetric.some((known) => known === each));
    if (refused !== undefined) {
      problems.push(`algorithms: "${refused}" is not one of ${asymmetric.join(', ')}, the algorithms of public keys`);
    }
    return given ?? [...asymmetric];
  }
  const algorithms = given ?? ['HS256'];
  for (const algorithm of algorithms) {
    const minBytes = new Map<string, number>(Object.entries(symmetric)).get(algorithm);
    if (minBytes === undefined) {
      problems.push(
        `algorithms: "${algorithm}" is not one of ${Object.keys(symmetric).join(', ')}, the algorithms of secrets`,
      );
    } else if (keys.keys.some(({ secret }) => secret.length < minBytes)) {
      problems.push(`keys: a secret for ${algorithm} has at least ${minBytes} bytes`);
    }
  }
  return algorithms;
}
