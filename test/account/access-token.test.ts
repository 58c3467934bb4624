import { expect, test } from 'vitest';
import { AccessTokens } from '../../src/account/token.ts';
import { generateKeySet, parseKeySet } from '../../src/account/token-key.ts';

const keysOf = (...sets: string[]) =>
  parseKeySet(JSON.stringify({ keys: sets.flatMap((set) => JSON.parse(set).keys) }));

test('when keys are rotated, a token signed with the old key is valid until that key is removed from the set', async () => {
  const [old, next] = [generateKeySet(), generateKeySet()];
  const { accessToken, asker } = await new AccessTokens(keysOf(old)).issue(1n, 2n);
  const both = new AccessTokens(keysOf(next, old));
  expect(await both.verify(accessToken)).toEqual(asker);
  expect(await both.verify((await both.issue(3n, 4n)).accessToken)).toMatchObject({ userId: 3n, sessionId: 4n });
  await expect(new AccessTokens(keysOf(next)).verify(accessToken)).rejects.toThrow('not valid');
  await expect(new AccessTokens(keysOf(old)).verify((await both.issue(3n, 4n)).accessToken)).rejects.toThrow(
    'not valid',
  );
});
