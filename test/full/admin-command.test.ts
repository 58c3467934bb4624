import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { runAdmin } from '../support/admin-command.ts';
import { post, signUp } from '../support/client.ts';
import { createDataDir, readPostmaster, runServer } from '../support/server-process.ts';
import { startServer } from '../support/server.ts';

test('an operator’s commands use the embedded database beside its server, without it, and after it was killed', async () => {
  const dataDir = await createDataDir();
  const admin = (...args: string[]) => runAdmin({ DATA_DIR: dataDir }, args);
  expect(await admin('grant', 'ada')).toMatchObject({
    status: 1,
    stderr: `There is no database in ${dataDir}: set DATA_DIR or DATABASE_URL as for the server.\n`,
  });
  const running = runServer({ DATA_DIR: dataDir });
  const input = { username: 'ada', email: 'ada@example.com', password: 'correct horse battery' };
  const document = 'mutation ($input: SignUpInput!) { signUp(input: $input) { __typename } }';
  expect((await post(await running.url, document, { input })).data.signUp.__typename).toBe('SignedIn');
  expect(await admin('reindex')).toMatchObject({
    status: 0,
    stdout: '0 messages, 1 users and 0 public channels are indexed.\n',
  });
  expect(await admin('grant', 'ada', 'MODERATOR')).toMatchObject({ status: 0, stdout: 'ada is now MODERATOR.\n' });

  running.kill('SIGKILL');
  await running.ended;
  // When the server stops, it leaves its PostgreSQL running and the file with the database URL in place.
  expect(await admin('grant', 'ada')).toEqual({ status: 0, stdout: 'ada is now ADMIN.\n', stderr: '' });
  process.kill(await readPostmaster(dataDir), 'SIGKILL');
  expect(await admin('unsuspend', 'ada')).toMatchObject({ status: 0, stdout: 'ada was not suspended.\n' });
  await rm(join(dataDir, 'database-url'), { force: true });
  expect(await admin('unsuspend', 'ada')).toEqual({ status: 0, stdout: 'ada was not suspended.\n', stderr: '' });
});

test('an operator grants the first admin beside a running server, and mistakes are explained', async () => {
  const server = await startServer();
  const ada = await signUp(server, 'ada');
  const beside = (...args: string[]) => runAdmin({ DATABASE_URL: server.database.url }, args);
  expect(await beside('grant', 'ADA@example.com')).toEqual({ status: 0, stdout: 'ada is now ADMIN.\n', stderr: '' });
  expect((await ada.ask('{ viewer { serverRole } }')).viewer.serverRole).toBe('ADMIN');
  const { status, stdout, stderr } = await beside();
  expect([status, stdout]).toEqual([1, '']);
  expect(stderr).toContain('Name a command.');
  expect(stderr).toContain('grant EMAIL|USERNAME [USER|MODERATOR|ADMIN]');
});
