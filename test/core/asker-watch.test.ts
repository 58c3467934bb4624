import { expect, test } from 'vitest';
import { askerKey, sessionKey, type Asker } from '../../src/core/asker.ts';
import { watchAsker } from '../../src/core/asker-watch.ts';

const asker: Asker = { kind: 'SESSION', userId: 1n, sessionId: 2n, expiresAt: new Date() };

test('a result is for everyone until the user is read, then for that user until the session is read, then for that session', () => {
  const watched = watchAsker(asker);
  expect(watched.personalTo()).toBeNull();
  expect(watched.ask().userId).toBe(1n);
  expect(watched.personalTo()).toBe(askerKey(asker));
  expect(watched.ask().sessionId).toBe(2n);
  expect(watched.personalTo()).toBe(sessionKey(asker));
  expect(watched.ask().userId).toBe(1n);
  expect(watched.personalTo()).toBe(sessionKey(asker));
});

test('reading any property but the user’s, or copying the asker, makes a result the session’s', () => {
  for (const learn of [
    (each: Asker) => each.expiresAt,
    (each: Asker) => ({ ...each }),
    (each: Asker) => Object.values(each),
  ]) {
    const watched = watchAsker(asker);
    learn(watched.ask());
    expect(watched.personalTo()).toBe(sessionKey(asker));
  }
});

test('a copy of the asker has all properties', () => {
  expect({ ...watchAsker(asker).ask() }).toEqual(asker);
});
