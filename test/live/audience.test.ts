import fc from 'fast-check';
import { beforeAll, expect, test } from 'vitest';
import { askerKey, sessionKey, type Asker, type Caller } from '../../src/core/asker.ts';
import { ResultsByAudience } from '../../src/live/audience.ts';
import { setAvatar, uploadPicture } from '../support/avatar.ts';
import { addMembers, createGroup, say } from '../support/chat.ts';
import { signIn, signUp, type Person } from '../support/client.ts';
import { download, upload } from '../support/file.ts';
import type { TestServer } from '../support/server.ts';
import { sharedServer } from '../support/shared-server.ts';
import { eventOf, followEvents, matching, readMissed } from '../support/stream.ts';

let server: TestServer;
let ada: Person;
let grace: Person;
let phone: Person;
beforeAll(async () => {
  server = await sharedServer();
  [ada, grace] = await Promise.all([signUp(server, 'ada'), signUp(server, 'grace')]);
  phone = await signIn(server, grace);
});

const asking = (fields: string) => `subscription ($after: String) {
  events(after: $after) { cursor event { __typename ... on NewMessage { message { content ${fields} } } } }
}`;
const withLinks = asking('files { url thumbnailUrl(size: SMALL) }');

async function sayWithFile(chatId: string): Promise<string> {
  const { id } = await upload(server, ada, `engine ${Math.random()}`, 'engine.txt');
  return say(ada, chatId, 'look', { fileIds: [id] });
}

const sessionOf = (url: string) => new URL(url, server.url).searchParams.get('session');
const statusesOf = (urls: string[]) => Promise.all(urls.map(async (url) => (await download(server, url)).status));

test.each([
  ['the device that signs out', 0],
  ['the other device', 1],
])('two devices with the same document each get their own link from one event; %s is first', async (_, turn) => {
  const tablet = await signIn(server, grace);
  const chatId = await createGroup(ada, [grace]);
  const streams = [];
  for (const device of turn === 0 ? [tablet, phone, ada] : [ada, phone, tablet]) {
    streams.push(await followEvents(server, device, { document: withLinks }));
  }
  await sayWithFile(chatId);
  const frames = await Promise.all(streams.map((stream) => stream.next('NewMessage')));
  const urls: string[] = frames.map((frame) => eventOf(frame).message.files[0].url);
  if (turn === 1) urls.reverse();
  expect(new Set(urls.map(sessionOf)).size).toBe(3);
  expect(await statusesOf(urls)).toEqual([200, 200, 200]);
  await tablet.ask('mutation { signOut }');
  expect(await statusesOf(urls)).toEqual([404, 200, 200]);
  await Promise.all(streams.map((stream) => stream.close()));
});

test('two devices that missed the same event each get their own link, in whatever order they return', async () => {
  const chatId = await createGroup(ada, [grace]);
  const { eventCursor } = (await ada.ask('{ viewer { eventCursor } }')).viewer;
  // While a stream is open, the events that it receives are cached for clients that return shortly after.
  await using witness = await followEvents(server, grace, { document: withLinks });
  await sayWithFile(chatId);
  await witness.next('NewMessage');
  const read = async (device: Person) => {
    const [missed] = await readMissed(server, device, eventCursor, { document: withLinks });
    return sessionOf(missed && eventOf(missed).message.files[0].url);
  };
  const sessions = [await read(grace), await read(phone), await read(ada), await read(grace)];
  expect(new Set(sessions).size).toBe(3);
  expect(sessions[3]).toBe(sessions[0]);
});

test('a notice with a link gives each device its own link', async () => {
  const chatId = await createGroup(ada, [grace]);
  expect(await setAvatar(ada, await uploadPicture(server, ada))).toMatchObject({ __typename: 'User' });
  const document = 'subscription { events { cursor event { __typename ... on Typing { user { avatar { url } } } } } }';
  await using one = await followEvents(server, grace, { document });
  await using other = await followEvents(server, phone, { document });
  await ada.ask('mutation ($chatId: ID!) { startTyping(chatId: $chatId) }', { chatId });
  const [first, second] = await Promise.all([one.next('Typing'), other.next('Typing')]);
  const urls: string[] = [first, second].map((frame) => eventOf(frame).user.avatar.url);
  expect(sessionOf(urls[0] ?? '')).not.toBe(sessionOf(urls[1] ?? ''));
  expect(await statusesOf(urls)).toEqual([200, 200]);
});

test('when one member may not see a link, the devices of the others still get separate links', async () => {
  const linus = await signUp(server, 'linus');
  const linusPhone = await signIn(server, linus);
  const chatId = await createGroup(ada, [grace]);
  const old = await sayWithFile(chatId);
  await addMembers(server, chatId, [linus], 2);
  const document = asking('replyTo { files { url } }');
  const streams = [];
  for (const device of [linus, grace, linusPhone, phone]) {
    streams.push(await followEvents(server, device, { document }));
  }
  await say(ada, chatId, 'about that', { replyToId: old });
  const frames = await Promise.all(
    streams.map((stream) => stream.next(matching({ message: { content: 'about that' } }))),
  );
  const replies = frames.map((frame) => eventOf(frame).message.replyTo);
  expect([replies[0], replies[2]]).toEqual([null, null]);
  const urls: string[] = [replies[1], replies[3]].map(({ files }) => files[0].url);
  expect(sessionOf(urls[0] ?? '')).not.toBe(sessionOf(urls[1] ?? ''));
  expect(await statusesOf(urls)).toEqual([200, 200]);
  await Promise.all(streams.map((stream) => stream.close()));
});

const userCount = 4;
const devices = fc.array(fc.bigInt({ min: 1n, max: 12n }), { maxLength: 20 });
const dependencies = fc.array(fc.constantFrom(askerKey, sessionKey), { minLength: userCount, maxLength: userCount });

test('whatever results depend on, each device gets its own, and none is built twice', () => {
  fc.assert(
    fc.property(devices, dependencies, (sessionIds, dependsOn) => {
      const askers = sessionIds.map((sessionId): Asker => ({
        kind: 'SESSION',
        userId: sessionId % BigInt(userCount),
        sessionId,
        expiresAt: new Date(),
      }));
      const audienceOf = (asker: Caller) => dependsOn[Number(asker.userId)]?.(asker) ?? '';
      const results = new ResultsByAudience<string>();
      const made: string[] = [];
      for (const keyOf of [askerKey, sessionKey]) {
        for (const asker of results.lacking(askers, keyOf)) {
          made.push(audienceOf(asker));
          results.add(audienceOf(asker), audienceOf(asker));
        }
      }
      for (const asker of askers) expect(results.find(asker)).toBe(audienceOf(asker));
      expect(made.toSorted()).toEqual([...new Set(askers.map(audienceOf))].toSorted());
    }),
  );
});
