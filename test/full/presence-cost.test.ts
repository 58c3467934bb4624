import { expect, test } from 'vitest';
import { keyOf } from '../support/chat.ts';
import { signUp } from '../support/client.ts';
import { costOf, fill, startExplainedServer } from '../support/plans.ts';

const strangerCount = 60;
const chatCount = 300;

test('the presence of strangers in hundreds of chats takes one lookup for each of them', async () => {
  const server = await startExplainedServer();
  const grace = await signUp(server, 'grace');
  await fill(
    server.database,
    `with strangers as (
      insert into users (username, email)
      select 'p' || n, 'p' || n || '@example.com' from generate_series(1, $2::int) n returning id
    ), chats as (
      insert into chats (type, name) select 'PUBLIC_CHANNEL', n::text from generate_series(1, 2 * $3::int) n returning id, name
    )
    insert into members (chat_id, user_id, role)
    select chats.id, $1, 'OWNER'::member_role from chats where name::int <= $3
    union all
    select chats.id, strangers.id, 'OWNER' from chats, strangers where name::int > $3`,
    [keyOf(grace.userId), strangerCount, chatCount],
  );
  await server.sql.query('analyze');
  const look = async () => {
    const { users } = await grace.ask(
      `{ users(search: "p", first: ${strangerCount}) { edges { node { presence { status } } } } }`,
    );
    expect(users.edges).toHaveLength(strangerCount);
    for (const { node } of users.edges) expect(node).toEqual({ presence: null });
  };
  // Reading the members of each chat of these users would take two blocks or more per chat.
  const { blocks } = await costOf(server, look);
  expect(blocks).toBeLessThan((strangerCount * chatCount) / 4);
});
