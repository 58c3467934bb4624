import { expect, test } from 'vitest';
import { signUp } from '../support/client.ts';
import { awaitIndex } from '../support/search.ts';
import { startServer } from '../support/server.ts';
import { recordStatements } from '../support/statements.ts';

test('a search among many users uses the index', async () => {
  const server = await startServer();
  const ada = await signUp(server, 'ada');
  await server.sql.query(
    `insert into users (username, email)
    select 'many' || n, 'many' || n || '@example.com' from generate_series(1, 5000) n`,
  );
  await awaitIndex(server);
  await server.sql.query('analyze search_people');
  const statements = await recordStatements(server, () =>
    ada.ask('{ users(search: "Many1", first: 50) { edges { node { username } } } }'),
  );
  const statement = statements.find((text) => text.includes('search_people')) ?? '';
  const { rows } = await server.sql.query(`explain (format json) ${statement}`, [
    ...[1, `'many11':*`, [], [], '', -1, 51, ['% many11 %'], `'many11'`, ['% many11%']],
  ]);
  expect(JSON.stringify(rows)).toContain('search_people_tokens_idx');
});
