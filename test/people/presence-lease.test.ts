import { beforeAll, expect, test } from 'vitest';
import { createGroup, insertMessage, keyOf } from '../support/chat.ts';
import { signIn, signUp, type Person } from '../support/client.ts';
import {
  attend,
  attendanceTimes,
  changed,
  changesHeard,
  follow,
  presenceOf,
  setPresence,
  untilHere,
} from '../support/presence.ts';
import { startServer, type TestServer } from '../support/server.ts';
import { eventOf, followEvents } from '../support/stream.ts';

let server: TestServer;
let otherNode: TestServer;
beforeAll(async () => {
  server = await startServer({ overrides: { attendanceTimes } });
  otherNode = await startServer({ database: server.database, overrides: { attendanceTimes } });
});

const newcomer = () => signUp(server, `p${Math.random().toString(36).slice(2)}`);

/** Signs up two users who share a chat. */
async function acquaint() {
  const [ada, grace] = await Promise.all([newcomer(), newcomer()]);
  return { ada, grace, chat: await createGroup(ada, [grace]) };
}

const leasesOf = (person: Person) =>
  server.sql.query<{ hasLapsed: boolean }>(
    `select has_lapsed as "hasLapsed" from presence_leases
    where session_id in (select id from sessions where user_id = $1)`,
    [keyOf(person.userId)],
  );

/** Makes all leases of that user expire, as if their devices had stopped renewing them. */
const runOut = (person: Person) =>
  server.sql.query(
    `update presence_leases set expires_at = clock_timestamp() - interval '1 second'
    where session_id in (select id from sessions where user_id = $1)`,
    [keyOf(person.userId)],
  );

test('a device whose lease has expired counts as gone on every node, until it renews the lease', async () => {
  const { ada, grace, chat } = await acquaint();
  await using adas = await follow(server, ada);
  await using graces = await followEvents(otherNode, grace);
  await adas.next(changed(grace, 'ONLINE'));
  expect(await setPresence(grace, 'ONLINE', 45)).toEqual({ __typename: 'Presence', status: 'ONLINE' });

  await runOut(grace);
  const went = eventOf(await adas.next(changed(grace, 'OFFLINE')));
  expect(Math.abs(Date.now() - Date.parse(went.presence.lastSeenAt))).toBeLessThan(10_000);
  for (const node of [server, otherNode]) expect(await presenceOf(grace, ada, node)).toEqual(went.presence);
  // Its stream continues.
  await insertMessage(server, chat, ada, 'are you there?');
  await graces.next('NewMessage');
  expect(graces.end).toBeNull();

  expect(await setPresence(grace, 'ONLINE', 45)).toMatchObject({ status: 'ONLINE' });
  await adas.next(changed(grace, 'ONLINE'));
  await runOut(grace);
  await adas.next(changed(grace, 'OFFLINE'));
  expect(await setPresence(grace, 'AWAY', 45)).toMatchObject({ status: 'AWAY' });
  await adas.next(changed(grace, 'AWAY'));
});

test('a call without expiresInSeconds ends the lease: from then on the stream counts again', async () => {
  const { ada, grace } = await acquaint();
  await using adas = await follow(server, ada);
  const graces = await attend(otherNode, grace);
  await adas.next(changed(grace, 'ONLINE'));
  await setPresence(grace, 'ONLINE', 45);
  await runOut(grace);
  await adas.next(changed(grace, 'OFFLINE'));
  expect(await setPresence(grace, 'ONLINE')).toMatchObject({ status: 'ONLINE' });
  await adas.next(changed(grace, 'ONLINE'));
  expect((await leasesOf(grace)).rows).toEqual([]);
  await graces.close();
  await adas.next(changed(grace, 'OFFLINE'));
});

test('devices without a lease are unaffected when the lease of another one expires', async () => {
  const { ada, grace } = await acquaint();
  const phoneOf = await signIn(server, grace);
  await using adas = await follow(server, ada);
  await using laptop = await attend(server, grace);
  await using _ = await attend(otherNode, phoneOf);
  await untilHere(server, grace, 2);
  await adas.next(changed(grace, 'ONLINE'));
  await setPresence(phoneOf, 'ONLINE', 45);
  await runOut(grace);
  await expect.poll(async () => (await leasesOf(grace)).rows).toEqual([{ hasLapsed: true }]);
  expect(await changesHeard(ada, adas, grace)).toEqual([]);
  expect(await presenceOf(grace, ada)).toMatchObject({ status: 'ONLINE' });
  // Only connected devices determine whether a user is away.
  expect(await setPresence(grace, 'AWAY')).toMatchObject({ status: 'AWAY' });
  await adas.next(changed(grace, 'AWAY'));
  await laptop.close();
  await adas.next(changed(grace, 'OFFLINE'));
});

test('a lease ends with the last stream of its device', async () => {
  const { ada, grace } = await acquaint();
  await using adas = await follow(server, ada);
  const graces = await attend(otherNode, grace);
  await adas.next(changed(grace, 'ONLINE'));
  await setPresence(grace, 'ONLINE', 45);
  await runOut(grace);
  await adas.next(changed(grace, 'OFFLINE'));
  await graces.close();
  await expect.poll(async () => (await leasesOf(grace)).rows).toEqual([]);
  await using _ = await attend(server, grace);
  await adas.next(changed(grace, 'ONLINE'));
});

test('a lease lasts from 10 to 300 seconds', async () => {
  const grace = await newcomer();
  await using _ = await attend(server, grace);
  await untilHere(server, grace, 1);
  for (const seconds of [10, 300]) {
    expect(await setPresence(grace, 'ONLINE', seconds)).toMatchObject({ __typename: 'Presence' });
  }
  const before = (await leasesOf(grace)).rows;
  for (const seconds of [9, 301, 0, -60]) {
    expect(await setPresence(grace, 'ONLINE', seconds)).toEqual({
      __typename: 'InvalidInput',
      fields: [{ path: ['expiresInSeconds'] }],
    });
  }
  expect((await leasesOf(grace)).rows).toEqual(before);
});
