import argon2 from 'argon2';
import { afterEach, expect, test, vi } from 'vitest';
import type { FieldError } from '../../src/errors.ts';
import { checkNewPassword, owaspCost, PasswordHasher } from '../../src/account/password.ts';

const cheap = { memoryKiB: 1_024, iterations: 1, parallelism: 1 };
const stranger = { person: '192.0.2.1', isKnown: false };
const owner = { person: 'ada', isKnown: true };

afterEach(() => vi.restoreAllMocks());

function problemsWith(password: string, names: string[] = []): string[] {
  const errors: FieldError[] = [];
  checkNewPassword(password, ['password'], names, errors);
  return errors.map(({ message }) => message);
}

/** Blocks every hash until it is released, and counts how many have been started. */
function holdHashes() {
  const held: (() => void)[] = [];
  const hash = vi.spyOn(argon2, 'hash').mockImplementation(async () => {
    await new Promise<void>((resolve) => held.push(resolve));
    return '$argon2id$';
  });
  return { held, started: () => hash.mock.calls.length };
}

test('a password has 8 to 128 characters, counted as code points', () => {
  expect(problemsWith('ünïqöé≠ß')).toEqual([]);
  expect(problemsWith('🐢🦀🐙🦑🐚🐬🦈🐳')).toEqual([]);
  expect(problemsWith('🐢🦀🐙🦑🐚🐬🦈')).toEqual(['must be at least 8 characters long']);
  const long = [...'🐢 and on, '.repeat(13)].slice(0, 128).join('');
  expect(problemsWith(long)).toEqual([]);
  expect(problemsWith(`${long}!`)).toEqual(['must be at most 128 characters long']);
});

test('a common password is refused, and so is one that is the user’s name', () => {
  expect(problemsWith('password1')).toEqual(['is too easy to guess']);
  expect(problemsWith('Ada.Lovelace', ['ada.lovelace', 'ada@example.com'])).toHaveLength(1);
  expect(problemsWith('ada@example.com', ['ada.lovelace', 'ada@example.com'])).toHaveLength(1);
  expect(problemsWith('ada at the engine', ['ada.lovelace', 'ada@example.com'])).toEqual([]);
});

test('a password that is not well-formed Unicode is refused, because two different ones would become the same', () => {
  expect(problemsWith('analytical \ud800')).toEqual(['must be well-formed Unicode']);
});

test('hashes are argon2id with the parameters that OWASP recommends, salted', async () => {
  const hasher = new PasswordHasher();
  const hash = await hasher.hash('analytical engine', stranger);
  expect(hash).toMatch(/^\$argon2id\$v=19\$m=19456,t=2,p=1\$/);
  expect(await hasher.hash('analytical engine', stranger)).not.toBe(hash);
  expect(owaspCost).toEqual({ memoryKiB: 19_456, iterations: 2, parallelism: 1 });
});

test('a password matches however its accents are encoded, but not in another case', async () => {
  const hasher = new PasswordHasher(cheap);
  const hash = await hasher.hash('café at night'.normalize('NFC'), stranger);
  expect((await hasher.verify(hash, 'café at night'.normalize('NFD'), stranger)).isRight).toBe(true);
  expect((await hasher.verify(hash, 'Café at night', stranger)).isRight).toBe(false);
});

test('a hash with another cost is replaced when the password is right', async () => {
  const hash = await new PasswordHasher(cheap).hash('analytical engine', stranger);
  const hasher = new PasswordHasher({ ...cheap, iterations: 3 });
  expect(await hasher.verify(hash, 'difference engine', stranger)).toEqual({ isRight: false, newHash: null });
  const { isRight, newHash } = await hasher.verify(hash, 'analytical engine', stranger);
  expect(isRight).toBe(true);
  expect(newHash).toContain('m=1024,t=3,p=1');
  expect(await hasher.verify(newHash, 'analytical engine', stranger)).toEqual({ isRight: true, newHash: null });
});

test('for a missing user, or one with an invalid hash, a comparison at the full cost is made and fails', async () => {
  const hasher = new PasswordHasher(cheap);
  const compare = vi.spyOn(argon2, 'verify');
  for (const nobody of [null, '', 'disabled']) {
    expect(await hasher.verify(nobody, 'analytical engine', stranger)).toEqual({ isRight: false, newHash: null });
  }
  expect(compare.mock.calls.map(([hash]) => hash)).toEqual(
    Array.from({ length: 3 }, () => expect.stringMatching(/^\$argon2id\$v=19\$m=1024,t=1,p=1\$[^$]{22}\$[^$]{43}$/)),
  );
});

test('one hash at a time runs for known networks, and one for all other networks, which take turns', async () => {
  const { held, started } = holdHashes();
  const hasher = new PasswordHasher(cheap);
  const flood = Array.from({ length: 50 }, () => hasher.hash('a guess', stranger));
  await vi.waitFor(() => expect(held).toHaveLength(1));
  const ownersHash = hasher.hash('analytical engine', owner);
  await vi.waitFor(() => expect(held).toHaveLength(2));
  held.pop()?.();
  await ownersHash;
  const other = hasher.hash('difference engine', { person: '198.51.100.7', isKnown: false });
  const timer = setInterval(() => held.shift()?.(), 0);
  await other;
  expect(started()).toBeLessThanOrEqual(6);
  expect(await Promise.all(flood)).toHaveLength(50);
  clearInterval(timer);
});

test('only a limited number of sign-ins per network may wait, and the next is refused until there is room', async () => {
  const { held } = holdHashes();
  const hasher = new PasswordHasher(cheap);
  const hashes = Array.from({ length: 101 }, () => hasher.hash('a guess', stranger));
  await expect(hasher.hash('one too many', stranger)).rejects.toMatchObject({ name: 'Error', retryAfterSeconds: 1 });
  const timer = setInterval(() => held.splice(0).forEach((letGo) => letGo()), 0);
  expect(await Promise.all(hashes)).toHaveLength(101);
  clearInterval(timer);
});

test('a hash that fails makes room for the next', async () => {
  vi.spyOn(argon2, 'hash').mockRejectedValueOnce(new Error('no memory')).mockRejectedValueOnce(new Error('no memory'));
  const hasher = new PasswordHasher(cheap);
  await expect(hasher.hash('first', stranger)).rejects.toThrow('no memory');
  await expect(hasher.hash('second', stranger)).rejects.toThrow('no memory');
  expect(await Promise.all([1, 2, 3].map(() => hasher.hash('third', stranger)))).toHaveLength(3);
});
