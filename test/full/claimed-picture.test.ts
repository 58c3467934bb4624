import { once } from 'node:events';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { beforeAll, beforeEach, expect, test } from 'vitest';
import { avatarOf, paint } from '../support/avatar.ts';
import { keyOf } from '../support/chat.ts';
import { signUp, type Person } from '../support/client.ts';
import { atFileEnd } from '../support/file-end.ts';
import { issuersEnv, secondsFromNow, TestIssuer, viewerOf } from '../support/issuer.ts';
import { startServer, type TestServer } from '../support/server.ts';

let issuer: TestIssuer;
let server: TestServer;
let grace: Person;
let picturesUrl: string;
/** The paths that were requested. */
let requested: string[] = [];
let answer: RequestListener;
beforeAll(async () => {
  const pictures = createServer((request, response) => {
    requested.push(String(request.url));
    answer(request, response);
  }).listen(0, '127.0.0.1');
  await once(pictures, 'listening');
  atFileEnd(() => void pictures.close());
  picturesUrl = `http://127.0.0.1:${(pictures.address() as AddressInfo).port}`;
  issuer = await TestIssuer.start();
  server = await startServer({ env: issuersEnv(issuer), overrides: { pictureTimes: { poll: 10, maxBackoff: 10 } } });
  grace = await signUp(server, 'grace');
});
beforeEach(() => {
  requested = [];
  answer = (_, response) => void response.writeHead(500).end();
});

const answerWith = (bytes: Uint8Array) => (answer = (_, response) => void response.end(bytes));

let age = 600;
/** A visit with a token that names a picture, newer than the tokens before it. */
async function visit(sub: string, picture: unknown): Promise<{ id: string; token: string }> {
  age -= 5;
  const token = await issuer.issue({ sub, iat: secondsFromNow(-age), preferred_username: sub, picture });
  return { id: (await viewerOf(server, token)).user.id, token };
}

/** The state of a user's picture. It is settled once there is nothing more to do. */
async function stateOf(userId: string): Promise<{ attempts: number; isSettled: boolean } | undefined> {
  const { rows } = await server.sql.query(
    `select attempts, next_attempt_at is null as "isSettled" from claimed_pictures where user_id = $1`,
    [keyOf(userId)],
  );
  return rows[0];
}

async function settled(userId: string): Promise<void> {
  await expect.poll(async () => (await stateOf(userId))?.isSettled, { timeout: 10_000, interval: 10 }).toBe(true);
}

/** Makes the next attempt due now. */
const hurry = (userId: string) =>
  server.sql.query(
    `update claimed_pictures set next_attempt_at = clock_timestamp()
    where user_id = $1 and next_attempt_at is not null`,
    [keyOf(userId)],
  );

test('a node that stops in the middle leaves the picture to another node', async () => {
  const database = { database: server.database, env: issuersEnv(issuer) };
  const arriving = Promise.withResolvers<void>();
  answer = () => arriving.resolve();
  const { id } = await visit('resumed', `${picturesUrl}/slow.png`);
  await arriving.promise;
  await server.sql.query(
    `update leases set until = clock_timestamp(), token = default, holder = gen_random_uuid() where name = 'claimed pictures'`,
  );
  answerWith(await paint());
  await using other = await startServer({ ...database, overrides: { pictureTimes: { poll: 10 } } });
  await hurry(id);
  await settled(id);
  expect(await avatarOf(id, grace)).toMatchObject({ width: 40 });
  expect(other.url).not.toBe(server.url);
});
