import { randomBytes } from 'node:crypto';
import pg from 'pg';
import { beforeAll, expect, onTestFinished, test } from 'vitest';
import { createGroup, heardBy, keyOf, say } from '../support/chat.ts';
import { asSuperuser } from '../support/database.ts';
import { signUp, type Person } from '../support/client.ts';
import { startServer, type TestServer } from '../support/server.ts';
import { eventOf, followEvents } from '../support/stream.ts';

let server: TestServer;
let ada: Person;
let grace: Person;
let chat: string;
beforeAll(async () => {
  server = await startServer();
  [ada, grace] = await Promise.all([signUp(server, 'ada'), signUp(server, 'grace')]);
  chat = await createGroup(ada, [grace]);
});

const insert = 'insert into messages (chat_id, sender_id, content) values ($1, $2, $3)';

/** Connects as a role that has only the given grants, and closes the connection when the test is over. */
async function connectAs(grants: string[]): Promise<pg.Client> {
  const role = `writer_${randomBytes(4).toString('hex')}`;
  await asSuperuser(server.database, (superuser) => superuser.query(`create role ${role} login password '${role}'`));
  for (const grant of grants) await server.sql.query(`grant ${grant} to ${role}`);
  const url = new URL(server.database.url);
  url.username = role;
  url.password = role;
  const client = new pg.Client({ connectionString: url.href });
  await client.connect();
  onTestFinished(async () => {
    await client.end();
    await asSuperuser(server.database, (superuser) => superuser.query(`drop owned by ${role}; drop role ${role}`));
  });
  return client;
}

test('a row that psql inserts reaches open streams like any other', async () => {
  await using stream = await followEvents(server, grace);
  await server.sql.query(insert, [keyOf(chat), keyOf(ada.userId), 'from psql']);
  expect(eventOf(await stream.next())).toMatchObject({
    __typename: 'NewMessage',
    message: { content: 'from psql', sender: { username: 'ada' }, chat: { id: chat } },
  });
});

test('a row from a role that may only insert reaches open streams, and that role may do nothing else', async () => {
  const client = await connectAs(['insert on messages']);
  await using stream = await followEvents(server, grace);
  await client.query(insert, [keyOf(chat), keyOf(ada.userId), 'from a bridge']);
  expect(eventOf(await stream.next())).toMatchObject({ message: { content: 'from a bridge' } });
  const forbidden = [
    'select * from messages',
    'select * from chats',
    'select * from events',
    `insert into events (id, at, kind, audience, chat_id) values (1, now(), 'NewMessage', 'CHAT', 1)`,
    `insert into event_drafts (events) values ('[]')`,
    'delete from messages',
  ];
  for (const statement of forbidden) await expect(client.query(statement)).rejects.toMatchObject({ code: '42501' });
});

test('the same rules apply to a role that may only insert', async () => {
  const client = await connectAs(['insert on messages']);
  const insertAt = 'insert into messages (chat_id, content, seq) values ($1, $2, $3)';
  await expect(client.query(insertAt, [keyOf(chat), 'far away', 1_000])).rejects.toMatchObject({ code: '23514' });
  await expect(client.query(insert, [keyOf(chat), keyOf(ada.userId), ''])).rejects.toMatchObject({ code: '23514' });
  await expect(client.query(insert, ['-1', keyOf(ada.userId), 'nowhere'])).rejects.toMatchObject({ code: '23503' });
});

test('an insert under session_replication_role = replica is delivered, too', async () => {
  await using stream = await followEvents(server, grace);
  await asSuperuser(server.database, async (client) => {
    await client.query('set session_replication_role = replica');
    await client.query(insert, [keyOf(chat), keyOf(ada.userId), 'replicated']);
  });
  expect(eventOf(await stream.next())).toMatchObject({ message: { content: 'replicated' } });
});

test('a transaction that stays open delays neither senders nor streams', async () => {
  const elsewhere = await createGroup(ada, [grace]);
  await using stream = await followEvents(server, grace);
  const client = await server.sql.connect();
  await client.query('begin');
  await client.query(insert, [keyOf(elsewhere), keyOf(ada.userId), 'committed last']);
  await say(ada, chat, 'committed first');
  expect(eventOf(await stream.next())).toMatchObject({ message: { content: 'committed first' } });
  await client.query('commit');
  client.release();
  expect(eventOf(await stream.next())).toMatchObject({ message: { content: 'committed last' } });
});

test('a transaction that takes the log’s lock early and then idles is ended', async () => {
  const client = new pg.Client({ connectionString: server.database.url });
  const ended = new Promise<Error>((resolve) => client.on('error', resolve));
  await client.connect();
  await client.query('begin');
  await client.query(insert, [keyOf(chat), keyOf(ada.userId), 'never committed']);
  await client.query('set constraints all immediate');
  await using stream = await followEvents(server, grace);
  await say(ada, chat, 'had to wait a little');
  expect(await heardBy(grace, stream)).toMatchObject([{ message: { content: 'had to wait a little' } }]);
  expect(await ended).toMatchObject({ code: '25P03' });
});
