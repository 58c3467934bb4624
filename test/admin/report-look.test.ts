import { expect, test } from 'vitest';
import { createGroup, say } from '../support/chat.ts';
import { signUpAll } from '../support/client.ts';
import { startServer } from '../support/server.ts';
import { reportMessage, setRoleWithSql } from '../support/staff.ts';

test('every look at a report is recorded, also when several arrive at the same time', async () => {
  const server = await startServer();
  const [marge, grace, linus] = await signUpAll(server, 'marge', 'grace', 'linus');
  await setRoleWithSql(server, marge, 'MODERATOR');
  const id = await say(linus, await createGroup(linus, [grace]), 'an offence');
  const report = await reportMessage(grace, id);
  const document = 'query ($id: ID!) { node(id: $id) { ... on Report { content } } }';
  const looks = Array.from({ length: 8 }, () => marge.ask(document, { id: report.id }));
  for (const { node } of await Promise.all(looks)) expect(node).toEqual({ content: 'an offence' });
  const { rows } = await server.sql.query(
    `select count(*)::int as count from audit_entries where action = 'READ_REPORT'`,
  );
  expect(rows).toEqual([{ count: looks.length }]);
});
