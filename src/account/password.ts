import { randomBytes } from 'node:crypto';
import argon2 from 'argon2';
import { FairQueue } from '../core/fair-queue.ts';
import type { FieldError } from '../errors.ts';
import { isCommonPassword } from './common-password.ts';

export const minPasswordLength = 8;
export const maxPasswordLength = 128;

/** What one hash costs. */
export type Argon2Cost = { memoryKiB: number; iterations: number; parallelism: number };

/** OWASP Password Storage Cheat Sheet, argon2id: 19 MiB, 2 iterations, 1 lane. */
export const owaspCost: Argon2Cost = { memoryKiB: 19_456, iterations: 2, parallelism: 1 };

/**
 * Hashes run on Node's four threads, where files and DNS wait too. Two run at once: one for devices that have signed in
 * before, and one for all others, so that a flood of strangers never makes a known device wait. At 20 ms a hash, the last
 * of one network waits two seconds.
 */
const line = { work: 'sign-ins', concurrency: 1, maxWaitingPerPerson: 100, maxWaiting: 1_000 };

/**
 * Who waits for a hash: `person` is an account or a network, and takes turns with the others. `isKnown`: on a device that
 * has signed in before. `onTurn` runs just before the hash; what it throws is thrown instead.
 */
export type Guesser = { person: string; isKnown: boolean; onTurn?: () => Promise<void> };

/**
 * Reads a password that is being chosen; what is wrong with it is added to `errors`. Lengths are in code points.
 * `names` are what the person is known by: none of them will do.
 */
export function checkNewPassword(password: string, path: string[], names: string[], errors: FieldError[]): void {
  const problem = problemWith(password, names);
  if (problem !== null) errors.push({ path, ...problem });
}

/** Adds to `errors` what no password can be, so that nothing over-long gets hashed. */
export function checkGivenPassword(password: string, path: string[], errors: FieldError[]): void {
  if (isOverLong(password)) errors.push({ path, ...tooLong });
  else if (password === '') errors.push({ path, code: 'REQUIRED', message: 'must not be empty' });
}

/**
 * Hashes passwords with argon2id and compares them, each when it is the guesser's turn. Throws RateLimited when too many
 * wait.
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

  /** The encoded hash to store: parameters, salt and all. */
  hash(password: string, guesser: Guesser): Promise<string> {
    return this.#inTurn(guesser, () => argon2.hash(normalize(password), this.#options));
  }

  /**
   * Whether the password is the one that was hashed. Null stands for somebody who doesn't exist: it takes as long, and
   * the answer is no. `newHash` is to be stored when the old one was made at another cost.
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
    return { code: 'NOT_ALLOWED', message: 'must not be your username or your e-mail address' };
  }
  if (isCommonPassword(password, names)) return { code: 'NOT_ALLOWED', message: 'is too easy to guess' };
  return null;
}

function isOverLong(password: string): boolean {
  // A string of n UTF-16 units has at least n / 2 code points: don't spread a huge one to learn that it is huge.
  return password.length > maxPasswordLength * 2 || [...password].length > maxPasswordLength;
}

/** The same password typed on different keyboards is the same bytes (NIST SP 800-63B, 3.1.1.2). */
function normalize(password: string): string {
  return password.normalize('NFKC');
}

/** A well-formed hash of no password at all: comparing with it costs what comparing with a real one does. */
function encodeRandomHash({ memoryKiB, iterations, parallelism }: Argon2Cost): string {
  const encode = (bytes: number) => randomBytes(bytes).toString('base64').replace(/=+$/, '');
  return `$argon2id$v=19$m=${memoryKiB},t=${iterations},p=${parallelism}$${encode(16)}$${encode(32)}`;
}
