import { beforeAll, expect, test } from 'vitest';
import { createChat, keyOf } from '../support/chat.ts';
import { type Person, signUpAll } from '../support/client.ts';
import type { TestServer } from '../support/server.ts';
import { sharedServer } from '../support/shared-server.ts';

let server: TestServer;
let ada: Person;
let grace: Person;
let linus: Person;
beforeAll(async () => {
  server = await sharedServer();
  [ada, grace, linus] = await signUpAll(server, 'ada', 'grace', 'linus');
});

/** Returns each statement with the name of the constraint that refused it, or `none`. */
const refusalsOf = (statements: string[]) =>
  Promise.all(
    statements.map(async (statement) => [
      statement,
      await server.sql.query(statement).then(
        () => 'none',
        ({ constraint }) => constraint,
      ),
    ]),
  );

test('the database itself enforces the rules of a chat', async () => {
  const refusals: [string, string][] = [
    ["insert into chats (type, name) values ('SINGLE', 'us')", 'a_single_chat_has_no_name'],
    ["insert into chats (type, description) values ('SINGLE', 'us')", 'a_single_chat_has_no_name'],
    ["insert into chats (type) values ('PUBLIC_CHANNEL')", 'a_channel_has_a_name'],
    ["insert into chats (type) values ('PRIVATE_CHANNEL')", 'a_channel_has_a_name'],
    ["insert into chats (type, name) values ('GROUP', '')", 'chats_name_check'],
    ["insert into chats (type, name) values ('GROUP', ' x')", 'chats_name_check'],
    ["insert into chats (type, name) values ('GROUP', E'a\\tb')", 'chats_name_check'],
    ["insert into chats (type, name) values ('GROUP', repeat('x', 65))", 'chats_name_check'],
    ["insert into chats (type, description) values ('GROUP', ' ')", 'chats_description_check'],
    ["insert into chats (type, description) values ('GROUP', E'a\\x07b')", 'chats_description_check'],
    ["insert into chats (type, description) values ('GROUP', repeat('x', 1001))", 'chats_description_check'],
    ["insert into chats (type, last_seq) values ('GROUP', -1)", 'chats_last_seq_check'],
  ];
  expect(await refusalsOf(refusals.map(([statement]) => statement))).toEqual(refusals);
  const allowed = "insert into chats (type, name, description) values ('GROUP', repeat('😀', 64), repeat('😀', 1000))";
  expect(await server.sql.query(allowed)).toMatchObject({ rowCount: 1 });
});

test('the database, too, allows two users only one single chat, and no one else in it', async () => {
  const { id } = await createChat(ada, { type: 'SINGLE', memberIds: [linus.userId] });
  const pair = [keyOf(ada.userId), keyOf(linus.userId)];
  const another = `with chat as (insert into chats (type) values ('SINGLE') returning id)
    insert into single_chats select id, least($1::bigint, $2), greatest($1::bigint, $2) from chat`;
  await expect(server.sql.query(another, pair)).rejects.toMatchObject({
    code: '23505',
    constraint: 'single_chats_low_user_id_high_user_id_key',
  });
  const backwards = `with chat as (insert into chats (type) values ('SINGLE') returning id)
    insert into single_chats select id, greatest($1::bigint, $2), least($1::bigint, $2) from chat`;
  await expect(server.sql.query(backwards, pair)).rejects.toMatchObject({ code: '23514' });
  const third = 'insert into members (chat_id, user_id) values ($1, $2)';
  await expect(server.sql.query(third, [keyOf(id), keyOf(grace.userId)])).rejects.toMatchObject({ code: '23514' });
});
