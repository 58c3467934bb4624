import { beforeAll, expect, test } from 'vitest';
import { addMembers, createGroup, createPublicChannel, heardBy, keyOf, removeMember } from '../support/chat.ts';
import { signIn, signUp } from '../support/client.ts';
import {
  attend,
  attendanceTimes,
  changed,
  changesHeard,
  follow,
  leaseTo,
  presenceDocument,
  presenceOf,
  setPresence,
  untilHere,
} from '../support/presence.ts';
import { startServer, type TestServer } from '../support/server.ts';
import { envelopeOf, eventOf, followChat, followEvents, matching, openStream } from '../support/stream.ts';

let server: TestServer;
let otherNode: TestServer;
beforeAll(async () => {
  server = await startServer({ overrides: { attendanceTimes } });
  otherNode = await startServer({ database: server.database, overrides: { attendanceTimes } });
});

const newcomer = () => signUp(server, `p${Math.random().toString(36).slice(2)}`);

test('a user who has a stream is online, and has a last-seen time once it closes', async () => {
  const [ada, grace] = await Promise.all([newcomer(), newcomer()]);
  await createGroup(ada, [grace]);
  expect(await presenceOf(grace, ada)).toEqual({ status: 'OFFLINE', lastSeenAt: null });
  await using adas = await follow(server, ada);
  const graces = await attend(otherNode, grace);
  const came = eventOf(await adas.next(changed(grace, 'ONLINE')));
  expect(came).toEqual({
    __typename: 'PresenceChanged',
    userId: grace.userId,
    user: { username: grace.name },
    presence: { status: 'ONLINE', lastSeenAt: null },
  });
  expect(await presenceOf(grace, ada)).toEqual({ status: 'ONLINE', lastSeenAt: null });
  await graces.close();
  const went = eventOf(await adas.next(changed(grace, 'OFFLINE')));
  expect(Math.abs(Date.now() - Date.parse(went.presence.lastSeenAt))).toBeLessThan(5_000);
  expect(await presenceOf(grace, ada)).toEqual(went.presence);
});

test('the user in PresenceChanged has the announced presence, which is the same for everyone who receives it', async () => {
  const [ada, grace, linus] = await Promise.all([newcomer(), newcomer(), newcomer()]);
  await createGroup(ada, [grace, linus]);
  const document = `subscription {
    events { event { __typename ... on PresenceChanged { user { id presence { status } } presence { status } } } }
  }`;
  await using adas = await followEvents(server, ada, { document });
  await using linuses = await followEvents(server, linus, { document });
  await using _ = await attend(server, grace);
  const came = matching({ user: { id: grace.userId } });
  const expected = { __typename: 'PresenceChanged', user: { id: grace.userId, presence: { status: 'ONLINE' } } };
  expect(eventOf(await adas.next(came))).toMatchObject(expected);
  expect(eventOf(await linuses.next(came))).toMatchObject(expected);
});

test('strangers neither see nor receive presence, nor do users who once shared a chat', async () => {
  const [ada, grace, linus, stranger] = await Promise.all([newcomer(), newcomer(), newcomer(), newcomer()]);
  const chat = await createGroup(ada, [grace, linus]);
  await removeMember(server, chat, linus);
  await using strangers = await follow(server, stranger);
  await using formers = await follow(otherNode, linus);
  await using adas = await follow(server, ada);
  await using _ = await attend(server, grace);
  await adas.next(changed(grace, 'ONLINE'));
  expect(await presenceOf(grace, ada)).toMatchObject({ status: 'ONLINE' });
  expect(await presenceOf(grace, grace)).toMatchObject({ status: 'ONLINE' });
  for (const other of [stranger, linus]) expect(await presenceOf(grace, other)).toBeNull();
  expect(await changesHeard(stranger, strangers, grace)).toEqual([]);
  expect(await changesHeard(linus, formers, grace)).toEqual([]);
  const { errors } = await server.post('query ($id: ID!) { node(id: $id) { ... on User { presence { status } } } }', {
    id: grace.userId,
  });
  expect(errors).toBeUndefined();
});

test('a reader of a public channel who is not a member does not receive the presence of its members', async () => {
  const [ada, grace, reader] = await Promise.all([newcomer(), newcomer(), newcomer()]);
  const channel = await createPublicChannel(ada);
  await server.sql.query('insert into members (chat_id, user_id) values ($1, $2)', [
    keyOf(channel),
    keyOf(grace.userId),
  ]);
  const inChat = presenceDocument.replace('{ events {', '($chatId: ID!) { chatEvents(chatId: $chatId) {');
  await using readers = await followChat(server, reader, channel, { document: inChat });
  await using members = await followChat(server, grace, channel, { document: inChat });
  await using _ = await attend(otherNode, ada);
  await members.next(changed(ada, 'ONLINE'));
  await server.sql.query('insert into messages (chat_id, sender_id, content) values ($1, $2, $3)', [
    keyOf(channel),
    keyOf(ada.userId),
    'hello',
  ]);
  const frames = await readers.until('NewMessage');
  expect(frames.map((frame) => eventOf(frame).__typename)).toEqual(['NewMessage']);
});

test('a user stays online as long as one of their devices is', async () => {
  const [ada, grace] = await Promise.all([newcomer(), newcomer()]);
  await createGroup(ada, [grace]);
  const phoneOf = await signIn(server, grace);
  await using adas = await follow(server, ada);
  const laptop = await attend(server, grace);
  const phone = await attend(otherNode, phoneOf);
  const second = await attend(otherNode, phoneOf);
  await adas.next(changed(grace, 'ONLINE'));
  await laptop.close();
  await phone.close();
  // Wait until the database knows that the laptop has disconnected, which changes nothing for others.
  await untilHere(server, grace, 1);
  expect(await presenceOf(grace, ada)).toMatchObject({ status: 'ONLINE' });
  await second.close();
  const frames = await adas.until(changed(grace, 'OFFLINE'));
  expect(frames.map(eventOf).filter(({ userId }) => userId === grace.userId)).toHaveLength(1);
});

test('a user who reconnects within moments, to any node, never goes offline', async () => {
  const [ada, grace] = await Promise.all([newcomer(), newcomer()]);
  await createGroup(ada, [grace]);
  await using adas = await follow(server, ada);
  let graces = await attend(server, grace);
  await adas.next(changed(grace, 'ONLINE'));
  for (const node of [server, otherNode, server]) {
    await graces.close();
    graces = await attend(node, grace);
  }
  await untilHere(server, grace, 1);
  expect(await changesHeard(ada, adas, grace)).toEqual([]);
  await graces.close();
  await adas.next(changed(grace, 'OFFLINE'));
});

test('a user is away when all of their devices are, until they become active on one', async () => {
  const [ada, grace] = await Promise.all([newcomer(), newcomer()]);
  await createGroup(ada, [grace]);
  const phoneOf = await signIn(server, grace);
  await using adas = await follow(server, ada);
  await using laptop = await follow(server, grace);
  const phone = await attend(otherNode, phoneOf);
  await untilHere(server, grace, 2);
  await adas.next(changed(grace, 'ONLINE'));
  expect(await setPresence(grace, 'AWAY')).toEqual({ __typename: 'Presence', status: 'ONLINE' });
  expect(await setPresence(phoneOf, 'AWAY')).toEqual({ __typename: 'Presence', status: 'AWAY' });
  expect(eventOf(await adas.next(changed(grace, 'AWAY'))).presence.lastSeenAt).toBeNull();
  await laptop.next(changed(grace, 'AWAY'));
  expect(await presenceOf(grace, ada)).toEqual({ status: 'AWAY', lastSeenAt: null });
  expect(await setPresence(phoneOf, 'ONLINE')).toMatchObject({ status: 'ONLINE' });
  await adas.next(changed(grace, 'ONLINE'));
  // The active device disconnects, and the remaining device is inactive.
  await phone.close();
  await adas.next(changed(grace, 'AWAY'));
  // A device that has reconnected is active.
  await laptop.close();
  await adas.next(changed(grace, 'OFFLINE'));
  await using _ = await attend(server, grace);
  await adas.next(changed(grace, 'ONLINE'));
  expect(await setPresence(grace, 'OFFLINE')).toEqual({ __typename: 'InvalidInput', fields: [{ path: ['status'] }] });
  const { errors } = await server.post('mutation { setPresence(status: AWAY) { __typename } }');
  expect(errors).toMatchObject([{ extensions: { code: 'UNAUTHENTICATED' } }]);
});

test('when a node dies, users who were only there go offline', async () => {
  const [ada, grace, linus] = await Promise.all([newcomer(), newcomer(), newcomer()]);
  await createGroup(ada, [grace, linus]);
  await using adas = await follow(server, ada);
  await using _ = await attend(otherNode, linus);
  await adas.next(changed(linus, 'ONLINE'));
  // The node reports once that both users are connected, and never again after that.
  await leaseTo(server, 'a node of old', `clock_timestamp() + interval '1 second'`);
  await server.sql.query(
    `select attend('a node of old', array_agg(s.id), '{}', array_agg(distinct s.user_id)) from sessions s where user_id = any ($1)`,
    [[keyOf(grace.userId), keyOf(linus.userId)]],
  );
  await adas.next(changed(grace, 'ONLINE'));
  await adas.next(changed(grace, 'OFFLINE'));
  expect(await presenceOf(linus, ada)).toMatchObject({ status: 'ONLINE' });
  const { rows } = await server.sql.query(`select from presence_nodes where node = 'a node of old'`);
  expect(rows).toEqual([]);
});

test('a user on a node that died was last seen when the node last renewed its lease', async () => {
  const [ada, grace] = await Promise.all([newcomer(), newcomer()]);
  await createGroup(ada, [grace]);
  // The lease was last renewed one lease duration before it expired.
  await leaseTo(
    server,
    'a node of old',
    `timestamptz '2026-01-02 03:04:05Z' + interval '${attendanceTimes.expiry} ms'`,
  );
  await server.sql.query(
    `select attend('a node of old', array_agg(id), '{}', array[$1]::bigint[]) from sessions where user_id = $1`,
    [keyOf(grace.userId)],
  );
  await expect
    .poll(() => presenceOf(grace, ada))
    .toEqual({ status: 'OFFLINE', lastSeenAt: '2026-01-02T03:04:05.000Z' });
});

test('a node that was taken for dead, or whose database lost its row, reports everything again', async () => {
  const [ada, grace] = await Promise.all([newcomer(), newcomer()]);
  await createGroup(ada, [grace]);
  await using adas = await follow(server, ada);
  await using _ = await attend(server, grace);
  await adas.next(changed(grace, 'ONLINE'));
  // Both statements run in one transaction. Otherwise the node might report the user again before the test checks.
  await server.sql.query(
    `delete from presence_nodes; select settle_presences(array[${keyOf(grace.userId)}]::bigint[])`,
  );
  const frames = [await adas.next(changed(grace, 'OFFLINE')), await adas.next(changed(grace, 'ONLINE'))];
  expect(frames).toHaveLength(2);
});

test('when a session ends, its presence ends', async () => {
  const [ada, grace] = await Promise.all([newcomer(), newcomer()]);
  await createGroup(ada, [grace]);
  await using adas = await follow(server, ada);
  await using stream = await attend(otherNode, grace);
  await adas.next(changed(grace, 'ONLINE'));
  await grace.ask('mutation { signOut }');
  await stream.ended();
  expect(eventOf(await adas.next(changed(grace, 'OFFLINE')))).toBeDefined();
});

test('when a server stops, its users go offline within moments', async () => {
  const [ada, grace] = await Promise.all([newcomer(), newcomer()]);
  await createGroup(ada, [grace]);
  await using adas = await follow(server, ada);
  const third = await startServer({ database: server.database, overrides: { attendanceTimes } });
  await using _ = await attend(third, grace);
  await adas.next(changed(grace, 'ONLINE'));
  await third.close();
  expect(eventOf(await adas.next(changed(grace, 'OFFLINE')))).toBeDefined();
});

test('a user who asks for their own presence gets it', async () => {
  const [ada, linus, grace] = await Promise.all([newcomer(), newcomer(), newcomer()]);
  await createGroup(grace, [ada, linus]);
  const personal = `subscription { events { event { __typename ... on PresenceChanged {
    userId user { presence { status } } presence { status }
  } } } }`;
  await using adas = await followEvents(server, ada, { document: personal });
  await using linuses = await followEvents(server, linus, { document: personal });
  await using _ = await attend(server, grace);
  for (const stream of [adas, linuses]) {
    expect(eventOf(await stream.next(changed(grace, 'ONLINE')))).toMatchObject({
      user: { presence: { status: 'ONLINE' } },
    });
  }
});

test('a subscription that does not select PresenceChanged does not receive it, and it is not replayed', async () => {
  const [ada, grace] = await Promise.all([newcomer(), newcomer()]);
  await createGroup(ada, [grace]);
  await using asking = await follow(server, ada);
  await using quiet = await followEvents(server, ada);
  const { cursor } = quiet;
  await using _ = await attend(server, grace);
  await asking.next(changed(grace, 'ONLINE'));
  expect(await heardBy(ada, quiet)).toEqual([]);
  // The cursor of the event repeats the stream's position.
  const told = asking.frames.findIndex(changed(grace, 'ONLINE'));
  const [before, change] = asking.frames.slice(told - 1, told + 1).map((frame) => envelopeOf(frame).cursor);
  expect([before, asking.frames[told]?.id]).toEqual([change, change]);
  await using later = await openStream(
    server,
    ada,
    presenceDocument.replace('events {', `events(after: "${cursor}") {`),
  );
  const frames = await later.until('CaughtUp');
  expect(frames.map((frame) => eventOf(frame).__typename)).not.toContain('PresenceChanged');
});

test('a user who leaves, and those who remain, no longer receive or see each other’s presence', async () => {
  const [ada, grace, linus] = await Promise.all([newcomer(), newcomer(), newcomer()]);
  const chat = await createGroup(ada, [grace, linus]);
  await using adas = await follow(server, ada);
  await using linuses = await follow(otherNode, linus);
  await using graces = await follow(otherNode, grace);
  for (const stream of [adas, linuses]) await stream.next(changed(grace, 'ONLINE'));
  await removeMember(server, chat, linus);
  await setPresence(grace, 'AWAY');
  await adas.next(changed(grace, 'AWAY'));
  expect(await changesHeard(linus, linuses, grace)).toEqual([]);
  await setPresence(linus, 'AWAY');
  expect(await changesHeard(grace, graces, linus)).not.toContain('AWAY');
  expect([await presenceOf(grace, linus), await presenceOf(linus, grace)]).toEqual([null, null]);
  // A user who joins receives changes of presence from then on.
  await addMembers(server, chat, [linus]);
  await setPresence(grace, 'ONLINE');
  await linuses.next(changed(grace, 'ONLINE'));
  expect(await presenceOf(linus, grace)).toMatchObject({ status: 'AWAY' });
});

test('to the users they block, a user looks as if they had never been online', async () => {
  const [ada, grace, linus] = await Promise.all([newcomer(), newcomer(), newcomer()]);
  await createGroup(ada, [grace, linus]);
  await using adas = await follow(otherNode, ada);
  await using linuses = await follow(otherNode, linus);
  const graces = await attend(server, grace);
  for (const stream of [adas, linuses]) await stream.next(changed(grace, 'ONLINE'));
  const change = (verb: string) =>
    grace.ask(`mutation ($userId: ID!) { ${verb}(userId: $userId) { __typename } }`, { userId: linus.userId });
  await change('blockUser');
  const never = { status: 'OFFLINE', lastSeenAt: null };
  expect(await presenceOf(grace, linus)).toEqual(never);
  expect(await presenceOf(grace, ada)).toMatchObject({ status: 'ONLINE' });
  // Blocking hides the presence of the blocking user from the blocked user, but not the other way round.
  expect(await presenceOf(linus, grace)).toMatchObject({ status: 'ONLINE' });
  await graces.close();
  await adas.next(changed(grace, 'OFFLINE'));
  expect(await changesHeard(linus, linuses, grace)).toEqual([]);
  expect(await presenceOf(grace, linus)).toEqual(never);
  await change('unblockUser');
  await using _ = await attend(server, grace);
  await linuses.next(changed(grace, 'ONLINE'));
});

test('an erased account has no presence', async () => {
  const [ada, grace] = await Promise.all([newcomer(), newcomer()]);
  await createGroup(ada, [grace]);
  await using adas = await follow(server, ada);
  await using _ = await attend(otherNode, grace);
  await adas.next(changed(grace, 'ONLINE'));
  await grace.ask('mutation ($password: String!) { deleteAccount(password: $password) { __typename } }', {
    password: grace.password,
  });
  const left = 'select from presences where user_id = $1 union all select from session_presences where user_id = $1';
  await expect.poll(async () => (await server.sql.query(left, [keyOf(grace.userId)])).rowCount).toBe(0);
  expect(await changesHeard(ada, adas, grace)).not.toContain('ONLINE');
});

test('two devices that become inactive at the same time, on two nodes, both count as inactive', async () => {
  const grace = await newcomer();
  const phone = await signIn(server, grace);
  const tablet = {
    ...phone,
    ask: (document: string, values?: object) => otherNode.ask(document, { ...values }, phone.token),
  };
  await using _ = await attend(server, grace);
  await using __ = await attend(otherNode, phone);
  await untilHere(server, grace, 2);
  for (let round = 0; round < 10; round += 1) {
    const outcomes = await Promise.all([setPresence(grace, 'AWAY'), setPresence(tablet, 'AWAY')]);
    expect(outcomes.map(({ status }) => status)).toContain('AWAY');
    expect(await presenceOf(grace, grace)).toMatchObject({ status: 'AWAY' });
    expect(await setPresence(round % 2 === 0 ? grace : tablet, 'ONLINE')).toMatchObject({ status: 'ONLINE' });
    await Promise.all([setPresence(grace, 'ONLINE'), setPresence(tablet, 'ONLINE')]);
  }
});

test('a device that reports its activity too often is rate-limited', async () => {
  await using limited = await startServer({ env: { RATE_LIMITS: 'on' }, overrides: { attendanceTimes } });
  const grace = await signUp(limited, 'grace');
  const answers = await Promise.all(
    Array.from({ length: 61 }, () => grace.post('mutation { setPresence(status: AWAY) { __typename } }')),
  );
  const refused = answers.flatMap(({ errors }) => errors ?? []);
  expect(refused.map(({ extensions }) => extensions?.['code'])).toEqual(['RATE_LIMITED']);
});

test('the presence fetched after CaughtUp, plus the changes received from then on, equals the final state', async () => {
  const [ada, grace] = await Promise.all([newcomer(), newcomer()]);
  await createGroup(ada, [grace]);
  await using _ = await attend(otherNode, grace);
  await untilHere(server, grace, 1);
  let last = 'ONLINE';
  const toggling = (async () => {
    for (let change = 0; change < 50; change += 1) {
      last = last === 'AWAY' ? 'ONLINE' : 'AWAY';
      expect(await setPresence(grace, last)).toMatchObject({ status: last });
    }
  })();
  const pictures: { seen: string; stream: Awaited<ReturnType<typeof follow>> }[] = [];
  for (let visit = 0; visit < 10; visit += 1) {
    const stream = await follow(visit % 2 === 0 ? server : otherNode, ada);
    pictures.push({ stream, seen: (await presenceOf(grace, ada)).status });
  }
  await toggling;
  for (const { seen, stream } of pictures) {
    const told = await changesHeard(ada, stream, grace);
    expect(told.at(-1) ?? seen).toBe(last);
    await stream.close();
  }
});

test('after a gap in LISTEN, subscribers to presence are notified to fetch it again', async () => {
  const ada = await newcomer();
  await using asking = await follow(server, ada);
  await using quiet = await attend(server, ada);
  await server.sql.query(
    `select pg_terminate_backend(pid) from pg_stat_activity
    where application_name = 'parley doorbell' and datname = current_database()`,
  );
  await asking.next('CaughtUp');
  expect(quiet.frames).toHaveLength(1);
});
