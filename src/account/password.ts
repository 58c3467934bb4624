import { randomBytes } from 'node:crypto';
import argon2 from 'argon2';
import { FairQueue } from '../core/fair-queue.ts';
import type { FieldError } from '../errors.ts';
import { isCommonPassword } from './common-password.ts';

/** In code points. NIST SP 800-63B, section 5.1.1.2, requires at least 8. */
export const minPasswordLength = 8;
/** In code points. The limit keeps the cost of hashing low. */
export const maxPasswordLength = 128;

/** The cost of one hash. */
export type Argon2Cost = { memoryKiB: number; iterations: number; parallelism: number };

/** The cost for argon2id that the OWASP Password Storage Cheat Sheet recommends: 19 MiB, 2 iterations, 1 lane. */
export const owaspCost: Argon2Cost = { memoryKiB: 19_456, iterations: 2, parallelism: 1 };

/**
 * Hashes run on Node's four threads, which file access and DNS also need. Two hashes run at a time: one for networks
 * that the account has signed in from before, and one for all other networks. A flood from unknown networks therefore
 * never delays a known network. At 20 ms per hash, the last of 100 requests from one network waits two seconds if no
 * other networks are waiting.
 */
const line = { work: 'sign-ins', concurrency: 1, maxWaitingPerPerson: 100, maxWaiting: 1_000 };

/**
 * The caller that a hash is for. `person` is the account or the network that takes turns with other accounts or
 * networks. `isKnown`: whether the account has signed in from this network before. `onTurn` runs just before the hash.
 * If it throws, the call fails with that error.
 */
export type Guesser = { person: string; isKnown: boolean; onTurn?: () => Promise<void> };

/**
 * Checks a new password, and adds its problem, if any, to `errors`. Lengths are in code points. `names` are the user's
 * own names, on which the password must not be based.
 */
export function checkNewPassword(password: string, path: string[], names: string[], errors: FieldError[]): void {
  const problem = problemWith(password, names);
  if (problem !== null) errors.push({ path, ...problem });
}

/** Adds an error if the string cannot be a password, so that an overlong string is never hashed. */
export function checkGivenPassword(password: string, path: string[], errors: FieldError[]): void {
  if (isOverLong(password)) errors.push({ path, ...tooLong });
  else if (password === '') errors.push({ path, code: 'REQUIRED', message: 'must not be empty' });
}

/**
 * Hashes and verifies passwords with argon2id, in the order of a fair queue. Throws RateLimited if too many callers are
 * waiting.
 */
export class PasswordHasher {
  readonly #options: argon2.Options & { timeCost: number; memoryCost: number; parallelism: number };
  readonly #nobodysHash: string;
  readonly #known = new FairQueue(line);
  readonly #strangers = new FairQueue(line);

  constructor(cost: Argon2Cost = owaspCost) {
    this.#options = {
      type: argon2.argon2id,
      memoryCost: cost.memoryKiB,
      timeCost: cost.iterations,
      parallelism: cost.parallelism,
    };
    this.#nobodysHash = encodeRandomHash(cost);
  }

  /** Returns the encoded hash to store, with its parameters and its salt. */
  hash(password: string, guesser: Guesser): Promise<string> {
    return this.#inTurn(guesser, () => argon2.hash(normalize(password), this.#options));
  }

  /**
   * Verifies the password against the stored hash. Null means that the account does not exist or has no password. The
   * comparison then takes just as long, and always fails. `newHash` is a new hash to store if the old one was made with
   * a different cost.
   */
  verify(
    encoded: string | null,
    password: string,
    guesser: Guesser,
  ): Promise<{ isRight: boolean; newHash: string | null }> {
    return this.#inTurn(guesser, async () => {
      const isKnown = encoded !== null && encoded.startsWith('$argon2');
      const matches = await argon2.verify(isKnown ? encoded : this.#nobodysHash, normalize(password));
      const isRight = isKnown && matches;
      const isOutdated = isRight && argon2.needsRehash(encoded, this.#options);
      return { isRight, newHash: isOutdated ? await argon2.hash(normalize(password), this.#options) : null };
    });
  }

  #inTurn<T>({ person, isKnown, onTurn }: Guesser, work: () => Promise<T>): Promise<T> {
    return (isKnown ? this.#known : this.#strangers).run({ person }, async () => {
      await onTurn?.();
      return work();
    });
  }
}

type Problem = Omit<FieldError, 'path'>;

const tooLong: Problem = { code: 'TOO_LONG', message: `must be at most ${maxPasswordLength} characters long` };

function problemWith(password: string, names: string[]): Problem | null {
  if (isOverLong(password)) return tooLong;
  if (password === '') return { code: 'REQUIRED', message: 'must not be empty' };
  if ([...password].length < minPasswordLength) {
    return { code: 'TOO_SHORT', message: `must be at least ${minPasswordLength} characters long` };
  }
  if (!password.isWellFormed()) return { code: 'MALFORMED', message: 'must be well-formed Unicode' };
  if (names.some((name) => name.toLowerCase() === password.toLowerCase())) {
    return { code: 'NOT_ALLOWED', message: 'must not be your username or your email address' };
  }
  if (isCommonPassword(password, names)) return { code: 'NOT_ALLOWED', message: 'is too easy to guess' };
  return null;
}

function isOverLong(password: string): boolean {
  // A string of n UTF-16 units has at least n / 2 code points, so a huge string is refused without splitting it into
  // characters.
  return password.length > maxPasswordLength * 2 || [...password].length > maxPasswordLength;
}

/**
 * Normalizes a password, so that its bytes do not depend on the keyboard that it was typed on (NIST SP 800-63B,
 * 3.1.1.2).
 */
function normalize(password: string): string {
  return password.normalize('NFKC');
}

/** Returns a well-formed hash that no password matches. A comparison with it takes as long as with a real hash. */
function encodeRandomHash({ memoryKiB, iterations, parallelism }: Argon2Cost): string {
  const encode = (bytes: number) => randomBytes(bytes).toString('base64').replace(/=+$/, '');
  return `$argon2id$v=19$m=${memoryKiB},t=${iterations},p=${parallelism}$${encode(16)}$${encode(32)}`;
}

/** Returns the names in an account, on which its password must not be based. */
export function namesOf({ username, email }: { username: string; email: string | null }): string[] {
  return email === null ? [username] : [username, email, email.replace(/@.*/s, '')];
}
