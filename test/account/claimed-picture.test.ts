import { once } from 'node:events';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import sharp from 'sharp';
import { beforeAll, beforeEach, expect, test } from 'vitest';
import { avatarOf, paint } from '../support/avatar.ts';
import { createGroup, keyOf } from '../support/chat.ts';
import { signUp, type Data, type Person } from '../support/client.ts';
import { download, upload } from '../support/file.ts';
import { atFileEnd } from '../support/file-end.ts';
import { issuersEnv, secondsFromNow, TestIssuer, viewerOf } from '../support/issuer.ts';
import { startServer, type TestServer } from '../support/server.ts';
import { eventOf, followEvents } from '../support/stream.ts';

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

async function fetched(sub: string, picture: string): Promise<{ id: string; token: string; avatar: Data }> {
  const user = await visit(sub, picture);
  await hurry(user.id);
  await settled(user.id);
  return { ...user, avatar: await avatarOf(user.id, grace) };
}

test('the picture of a new user becomes their avatar, without its place, and acquaintances learn of it', async () => {
  const photo = sharp(await paint()).withExif({ IFD3: { GPSLatitudeRef: 'N', GPSLatitude: '52/1 31/1 0/1' } });
  const bytes = await photo.jpeg().toBuffer();
  expect(bytes.includes('Exif')).toBe(true);
  answer = (_, response) => void response.writeHead(503).end();
  const { id } = await visit('ada', `${picturesUrl}/ada.jpg`);
  await expect.poll(() => requested).toEqual(['/ada.jpg']);
  await createGroup(grace, [{ userId: id }]);
  const document = `subscription { events { event {
    __typename ... on UserUpdated { user { username avatar { width url } } }
  } } }`;
  await using stream = await followEvents(server, grace, { document });
  answerWith(bytes);
  await expect.poll(async () => (await stateOf(id))?.attempts).toBe(1);
  await hurry(id);
  const { user } = eventOf(await stream.next('UserUpdated'));
  expect(user).toMatchObject({ username: 'ada', avatar: { width: 40 } });
  const kept = await download(server, user.avatar.url);
  expect(kept.headers.get('content-type')).toBe('image/jpeg');
  expect(Buffer.from(await kept.arrayBuffer()).includes('Exif')).toBe(false);
});

test('a picture is fetched once, and again when the claim changes', async () => {
  answerWith(await paint());
  const first = await fetched('hedy', `${picturesUrl}/one.png`);
  expect(first.avatar).not.toBeNull();
  await visit('hedy', `${picturesUrl}/one.png`);
  await visit('hedy', undefined);
  answerWith(await paint());
  const second = await fetched('hedy', `${picturesUrl}/two.png`);
  expect(second.avatar.id).not.toBe(first.avatar.id);
  expect(requested).toEqual(['/one.png', '/two.png']);
  // The previous one is deleted.
  expect((await download(server, first.avatar.url)).status).toBe(404);
});

test('a claim that changes all the time does not make the server fetch all the time', async () => {
  answerWith(await paint());
  const { id } = await fetched('flicker', `${picturesUrl}/0.png`);
  for (let change = 1; change < 5; change += 1) await visit('flicker', `${picturesUrl}/${change}.png`);
  const { rows } = await server.sql.query(
    `select url, next_attempt_at - attempted_at = interval '10 minutes' as waits from claimed_pictures where user_id = $1`,
    [keyOf(id)],
  );
  expect(rows).toEqual([{ url: `${picturesUrl}/4.png`, waits: true }]);
  expect(requested).toEqual(['/0.png']);
});

test('an avatar that the user chose stays, and nothing is fetched', async () => {
  answerWith(await paint());
  const { id, token } = await fetched('chooser', `${picturesUrl}/claimed.png`);
  const chooser: Person = { ...grace, userId: id, token, ask: (doc, variables) => server.ask(doc, variables, token) };
  const own = (await upload(server, chooser, await paint(), 'me.png')).id;
  const set = 'mutation ($fileId: ID) { setAvatar(fileId: $fileId) { __typename } }';
  await chooser.ask(set, { fileId: own });
  expect((await fetched('chooser', `${picturesUrl}/another.png`)).avatar.id).toBe(own);
  // Without an avatar, the user gets the next one that is claimed, but not the last one again.
  await chooser.ask(set, { fileId: null });
  expect((await fetched('chooser', `${picturesUrl}/another.png`)).avatar).toBeNull();
  expect((await fetched('chooser', `${picturesUrl}/third.png`)).avatar).toMatchObject({ width: 40 });
  expect(requested).toEqual(['/claimed.png', '/third.png']);
});

test('an avatar that the user chooses while the picture arrives stays', async () => {
  const bytes = await paint();
  const arriving = Promise.withResolvers<() => void>();
  answer = (_, response) => arriving.resolve(() => response.end(bytes));
  const { id, token } = await visit('racer', `${picturesUrl}/late.png`);
  const finish = await arriving.promise;
  const racer: Person = { ...grace, userId: id, token };
  const own = (await upload(server, racer, await paint(), 'me.png')).id;
  await server.ask('mutation ($fileId: ID) { setAvatar(fileId: $fileId) { __typename } }', { fileId: own }, token);
  finish();
  await expect
    .poll(async () => (await server.sql.query('select from files where uploader_id = $1', [keyOf(id)])).rowCount)
    .toBe(1);
  expect(await avatarOf(id, grace)).toMatchObject({ id: own });
});

const svg = '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><script>alert(1)</script></svg>';
test.each<[string, RequestListener]>([
  ['a redirect', (_, response) => void response.writeHead(302, { location: '/elsewhere' }).end()],
  ['a page', (_, response) => void response.end('<!doctype html><p>Sign in first.</p>')],
  ['an SVG', (_, response) => void response.writeHead(200, { 'content-type': 'image/svg+xml' }).end(svg)],
  ['an answer that there is none', (_, response) => void response.writeHead(404).end()],
  ['a damaged picture', async (_, response) => void response.end((await paint()).slice(0, 60))],
  ['more than 5 MB', (_, response) => void response.end(Buffer.alloc(5 * 1024 * 1024 + 1))],
])('%s is no avatar', async (name, answering) => {
  answer = answering;
  const { id } = await visit(`no ${name}`, `${picturesUrl}/picture`);
  // What the egress client refuses is tried again; the rest is settled at once.
  await expect.poll(async () => (await stateOf(id))?.attempts).toBe(1);
  const isTriedAgain = name === 'a redirect' || name === 'more than 5 MB';
  if (!isTriedAgain) await settled(id);
  expect(await avatarOf(id, grace)).toBeNull();
  expect(requested).toEqual(['/picture']);
});

test('a picture that cannot be had is tried five times, and then given up', async () => {
  const { id } = await visit('patient', `${picturesUrl}/broken`);
  for (let attempt = 1; attempt <= 5; attempt += 1) {
    await expect.poll(() => requested.length).toBe(attempt);
    await expect.poll(async () => (await stateOf(id))?.attempts).toBe(attempt);
    await hurry(id);
  }
  await settled(id);
  expect(await avatarOf(id, grace)).toBeNull();
});

test.each([
  ['http: elsewhere', 'http://pictures.example/a.png'],
  ['another protocol', 'file:///etc/passwd'],
  ['a password', 'https://ada:secret@pictures.example/a.png'],
  ['a long URL', `https://pictures.example/${'ä'.repeat(700)}`],
  ['not a URL', 'a.png'],
  ['not a text', { url: 'https://pictures.example/a.png' }],
])('a claim with %s is not read', async (name, picture) => {
  const { id } = await visit(`unread ${name}`, picture);
  expect(await stateOf(id)).toBeUndefined();
});

test('an address in a private network is not reached', async () => {
  const { id } = await visit('intruder', 'https://10.0.0.1/picture.png');
  await expect.poll(async () => (await stateOf(id))?.attempts).toBe(1);
  expect(await avatarOf(id, grace)).toBeNull();
});

test('an erased account leaves no claim, and a picture that arrives afterwards is deleted', async () => {
  const bytes = await paint();
  const arriving = Promise.withResolvers<() => void>();
  answer = (_, response) => arriving.resolve(() => response.end(bytes));
  const sub = 'eraser';
  const token = await issuer.issue({ sub, preferred_username: sub, picture: `${picturesUrl}/late.png` });
  const { user } = await viewerOf(server, token);
  const finish = await arriving.promise;
  await server.ask('mutation { deleteAccount { __typename } }', {}, token);
  expect(await stateOf(user.id)).toBeUndefined();
  finish();
  await expect
    .poll(async () => (await server.sql.query('select from files where uploader_id = $1', [keyOf(user.id)])).rowCount)
    .toBe(0);
});
