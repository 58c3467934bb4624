import fc from 'fast-check';
import { beforeAll, expect, test } from 'vitest';
import { AccessTokens } from '../../src/account/token.ts';
import { generateKeySet, parseKeySet } from '../../src/account/token-key.ts';
import { decodeBase64url } from '../../src/core/base64url.ts';
import { encodeId, parseId } from '../../src/core/id.ts';
import { createSecret, hashSecret } from '../../src/core/secret.ts';
import { FileLinks } from '../../src/file/file-link.ts';
import { formatCursor, parseCursor } from '../../src/log/cursor.ts';
import { encodeNameCursor, readNamePage } from '../../src/postgres/name-page.ts';
import { encodeCursor, lists, readPage } from '../../src/postgres/page.ts';
import { signUp, type Person } from '../support/client.ts';
import type { TestServer } from '../support/server.ts';
import { sharedServer } from '../support/shared-server.ts';

const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';

/**
 * Returns variants of a text: with each character changed or left out, with every other final character, with every
 * additional final character, and with a few other spellings.
 */
function listAlterations(text: string): string[] {
  const changedAt = (index: number, character: string) => text.slice(0, index) + character + text.slice(index + 1);
  const last = text.length - 1;
  const atEnd = [...alphabet, '=', '+', '/', ' ', '\n', '.'];
  return [
    ...[...text].map((character, index) => changedAt(index, character === 'A' ? 'B' : 'A')),
    ...[...text].map((_, index) => changedAt(index, '')),
    ...atEnd.map((character) => changedAt(last, character)),
    ...atEnd.map((character) => text + character),
    ` ${text}`,
    text.replaceAll('-', '+').replaceAll('_', '/'),
    text.toUpperCase(),
  ].filter((altered) => altered !== text);
}

const keys = parseKeySet(generateKeySet());

let server: TestServer;
let ada: Person;
beforeAll(async () => {
  server = await sharedServer();
  ada = await signUp(server, 'ada');
});

test('base64url is accepted only in its canonical form', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => {
      const text = Buffer.from(bytes).toString('base64url');
      expect(decodeBase64url(text)).toEqual(Buffer.from(bytes));
      for (const altered of text === '' ? [] : listAlterations(text)) {
        expect(decodeBase64url(altered)?.equals(bytes) ?? false).toBe(false);
      }
    }),
  );
});

test('an access token with any character altered is refused', async () => {
  const tokens = new AccessTokens(keys);
  const { accessToken } = await tokens.issue(1n, 1n);
  expect(await tokens.verify(accessToken)).toMatchObject({ userId: 1n });
  for (const altered of listAlterations(accessToken)) {
    await expect(tokens.verify(altered)).rejects.toThrow('The access token is not valid.');
  }
});

test('a file link with any character of its signature altered is refused', () => {
  const links = new FileLinks(keys);
  const file = { kind: 'File', fileId: 7n } as const;
  const query = new URLSearchParams(links.sign({ ...file, viewerId: 1n, sessionId: 2n, thumbnail: 'SMALL' }));
  expect(links.read({ kind: 'ReportedFile', fileId: 7n }, query)).toBeNull();
  expect(links.read(file, query)).toMatchObject({ fileId: 7n, viewerId: 1n, sessionId: 2n });
  for (const name of ['signature', 'expires', 'viewer', 'session', 'size']) {
    for (const altered of listAlterations(query.get(name) ?? '')) {
      const alteredQuery = new URLSearchParams(query);
      alteredQuery.set(name, altered);
      expect(links.read(file, alteredQuery)).toBeNull();
    }
  }
});

test('a secret with any character altered has another hash or none, and is valid only as its own kind', () => {
  const { secret, hash } = createSecret('refreshToken');
  expect(hashSecret('refreshToken', secret)).toEqual(hash);
  expect(hashSecret('streamReservation', secret)).toBeNull();
  for (const altered of listAlterations(secret)) expect(hashSecret('refreshToken', altered)).not.toEqual(hash);
});

test('no two secrets are the same', () => {
  const secrets = Array.from({ length: 1_000 }, () => createSecret('refreshToken').secret);
  expect(new Set(secrets).size).toBe(1_000);
});

test('a refresh token or stream token with its last character altered is refused by the server', async () => {
  const refresh = `mutation ($token: String!) { refreshSession(refreshToken: $token) { __typename } }`;
  for (const token of listAlterations(ada.refreshToken).slice(-10)) {
    const { data } = await server.post(refresh, { token });
    expect(data.refreshSession.__typename).toBe('InvalidCredentials');
  }
  const { data } = await server.post('mutation { streamToken }', {}, { token: ada.token });
  const query = encodeURIComponent('subscription { events { cursor } }');
  const statusOf = async (token: string) => {
    const headers = { accept: 'text/event-stream' };
    const abort = new AbortController();
    const url = `${server.url}/graphql/stream?query=${query}&streamToken=${encodeURIComponent(token)}`;
    const response = await fetch(url, { headers, signal: abort.signal });
    abort.abort();
    return response.status;
  };
  expect(await statusOf(data.streamToken)).toBe(200);
  const altered = [...alphabet].map((last) => data.streamToken.slice(0, -1) + last);
  for (const token of altered.filter((each) => each !== data.streamToken)) expect(await statusOf(token)).toBe(401);
});

/** Returns the result of `read`, or undefined if it throws. */
function attempt<Value>(read: () => Value): Value | undefined {
  try {
    return read();
  } catch {
    return undefined;
  }
}

const bigints = fc.bigInt({ min: 0n, max: 2n ** 63n - 1n });

test('each id and each cursor has exactly one spelling', () => {
  fc.assert(
    fc.property(bigints, fc.string({ unit: fc.constantFrom('a', 'Z', 'ä', ':', '𝒳'), maxLength: 8 }), (id, name) => {
      const forms: [text: string, read: (text: string) => unknown][] = [
        [encodeId('Message', id), parseId],
        [formatCursor({ epoch: '0123456789ab', id }), parseCursor],
        [encodeCursor(lists.messages, [id]), (after) => readPage({ after }, lists.messages).after],
        [encodeNameCursor('publicChannels', { name, id }), (after) => readNamePage({ after }, 'publicChannels').after],
      ];
      for (const [text, read] of forms) {
        const meaning = read(text);
        expect(meaning).not.toBeNull();
        for (const altered of listAlterations(text)) expect(attempt(() => read(altered))).not.toEqual(meaning);
      }
    }),
    { numRuns: 30 },
  );
});
