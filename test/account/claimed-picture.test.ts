import type { RequestListener } from 'node:http';
import sharp from 'sharp';
import { beforeEach, expect, test } from 'vitest';
import { avatarOf, paint } from '../support/avatar.ts';
import { createGroup, keyOf } from '../support/chat.ts';
import { ClaimedPictures, expectSettled, PictureHost } from '../support/claimed-picture.ts';
import { signUp, type Data, type Person } from '../support/client.ts';
import { download, upload } from '../support/file.ts';
import { viewerOf } from '../support/issuer.ts';
import { eventOf, followEvents } from '../support/stream.ts';

const host = await PictureHost.start();
const claims = await ClaimedPictures.start();
const { server, issuer } = claims;
const grace = await signUp(server, 'grace');
beforeEach(() => host.reset());

async function fetched(sub: string, picture: string): Promise<{ id: string; token: string; avatar: Data }> {
  const user = await claims.visit(sub, picture);
  await claims.hurry(user.id);
  await expectSettled(claims, user.id);
  return { ...user, avatar: await avatarOf(user.id, grace) };
}

test('the picture of a new user becomes their avatar, without its place, and acquaintances learn of it', async () => {
  const photo = sharp(await paint()).withExif({ IFD3: { GPSLatitudeRef: 'N', GPSLatitude: '52/1 31/1 0/1' } });
  const bytes = await photo.jpeg().toBuffer();
  expect(bytes.includes('Exif')).toBe(true);
  host.answer = (_, response) => void response.writeHead(503).end();
  const { id } = await claims.visit('ada', `${host.url}/ada.jpg`);
  await expect.poll(() => host.requested).toEqual(['/ada.jpg']);
  await createGroup(grace, [{ userId: id }]);
  const document = `subscription { events { event {
    __typename ... on UserUpdated { user { username avatar { width url } } }
  } } }`;
  await using stream = await followEvents(server, grace, { document });
  host.answerWith(bytes);
  await expect.poll(async () => (await claims.stateOf(id))?.attempts).toBe(1);
  await claims.hurry(id);
  const { user } = eventOf(await stream.next('UserUpdated'));
  expect(user).toMatchObject({ username: 'ada', avatar: { width: 40 } });
  const kept = await download(server, user.avatar.url);
  expect(kept.headers.get('content-type')).toBe('image/jpeg');
  expect(Buffer.from(await kept.arrayBuffer()).includes('Exif')).toBe(false);
});

test('a picture is fetched once, and again when the claim changes', async () => {
  host.answerWith(await paint());
  const first = await fetched('hedy', `${host.url}/one.png`);
  expect(first.avatar).not.toBeNull();
  await claims.visit('hedy', `${host.url}/one.png`);
  await claims.visit('hedy', undefined);
  host.answerWith(await paint());
  const second = await fetched('hedy', `${host.url}/two.png`);
  expect(second.avatar.id).not.toBe(first.avatar.id);
  expect(host.requested).toEqual(['/one.png', '/two.png']);
  // The previous picture has been deleted.
  expect((await download(server, first.avatar.url)).status).toBe(404);
});

test('a claim that changes all the time does not make the server fetch all the time', async () => {
  host.answerWith(await paint());
  const { id } = await fetched('flicker', `${host.url}/0.png`);
  for (let change = 1; change < 5; change += 1) await claims.visit('flicker', `${host.url}/${change}.png`);
  const { rows } = await server.sql.query(
    `select url, next_attempt_at - attempted_at = interval '10 minutes' as waits from claimed_pictures where user_id = $1`,
    [keyOf(id)],
  );
  expect(rows).toEqual([{ url: `${host.url}/4.png`, waits: true }]);
  expect(host.requested).toEqual(['/0.png']);
});

test('an avatar that the user chose stays, and nothing is fetched', async () => {
  host.answerWith(await paint());
  const { id, token } = await fetched('chooser', `${host.url}/claimed.png`);
  const chooser: Person = { ...grace, userId: id, token, ask: (doc, variables) => server.ask(doc, variables, token) };
  const own = (await upload(server, chooser, await paint(), 'me.png')).id;
  const set = 'mutation ($fileId: ID) { setAvatar(fileId: $fileId) { __typename } }';
  await chooser.ask(set, { fileId: own });
  expect((await fetched('chooser', `${host.url}/another.png`)).avatar.id).toBe(own);
  // After removing the avatar, the user gets the next picture that is claimed, but not the previous one again.
  await chooser.ask(set, { fileId: null });
  expect((await fetched('chooser', `${host.url}/another.png`)).avatar).toBeNull();
  expect((await fetched('chooser', `${host.url}/third.png`)).avatar).toMatchObject({ width: 40 });
  expect(host.requested).toEqual(['/claimed.png', '/third.png']);
});

test('an avatar that the user chooses while the picture arrives stays', async () => {
  const bytes = await paint();
  const arriving = Promise.withResolvers<() => void>();
  host.answer = (_, response) => arriving.resolve(() => response.end(bytes));
  const { id, token } = await claims.visit('racer', `${host.url}/late.png`);
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
  ['a missing picture', (_, response) => void response.writeHead(404).end()],
  ['a damaged picture', async (_, response) => void response.end((await paint()).slice(0, 60))],
  ['more than 5 MB', (_, response) => void response.end(Buffer.alloc(5 * 1024 * 1024 + 1))],
])('%s does not become an avatar', async (name, answering) => {
  host.answer = answering;
  const { id } = await claims.visit(`no ${name}`, `${host.url}/picture`);
  // A request whose response the egress client refuses is retried. Any other request is settled immediately.
  await expect.poll(async () => (await claims.stateOf(id))?.attempts).toBe(1);
  const isTriedAgain = name === 'a redirect' || name === 'more than 5 MB';
  if (!isTriedAgain) await expectSettled(claims, id);
  expect(await avatarOf(id, grace)).toBeNull();
  expect(host.requested).toEqual(['/picture']);
});

test('a picture that cannot be fetched is tried five times, and then given up', async () => {
  const { id } = await claims.visit('patient', `${host.url}/broken`);
  for (let attempt = 1; attempt <= 5; attempt += 1) {
    await expect.poll(() => host.requested.length).toBe(attempt);
    await expect.poll(async () => (await claims.stateOf(id))?.attempts).toBe(attempt);
    await claims.hurry(id);
  }
  await expectSettled(claims, id);
  expect(await avatarOf(id, grace)).toBeNull();
});

test.each([
  ['http: elsewhere', 'http://pictures.example/a.png'],
  ['another protocol', 'file:///etc/passwd'],
  ['a password', 'https://ada:secret@pictures.example/a.png'],
  ['a long URL', `https://pictures.example/${'ä'.repeat(700)}`],
  ['no complete URL', 'a.png'],
  ['an object', { url: 'https://pictures.example/a.png' }],
])('a claim with %s is not read', async (name, picture) => {
  const { id } = await claims.visit(`unread ${name}`, picture);
  expect(await claims.stateOf(id)).toBeUndefined();
});

test('an address in a private network is not reached', async () => {
  const { id } = await claims.visit('intruder', 'https://10.0.0.1/picture.png');
  await expect.poll(async () => (await claims.stateOf(id))?.attempts).toBe(1);
  expect(await avatarOf(id, grace)).toBeNull();
});

test('an erased account leaves no claim, and a picture that arrives afterwards is deleted', async () => {
  const bytes = await paint();
  const arriving = Promise.withResolvers<() => void>();
  host.answer = (_, response) => arriving.resolve(() => response.end(bytes));
  const sub = 'eraser';
  const token = await issuer.issue({ sub, preferred_username: sub, picture: `${host.url}/late.png` });
  const { user } = await viewerOf(server, token);
  const finish = await arriving.promise;
  await server.ask('mutation { deleteAccount { __typename } }', {}, token);
  expect(await claims.stateOf(user.id)).toBeUndefined();
  finish();
  await expect
    .poll(async () => (await server.sql.query('select from files where uploader_id = $1', [keyOf(user.id)])).rowCount)
    .toBe(0);
});
