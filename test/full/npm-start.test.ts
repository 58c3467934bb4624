import { expect, test } from 'vitest';
import { createDataDir, isPostgres, readPostmaster, runServer } from '../support/server-process.ts';

test('SIGTERM to npm alone, as from a supervisor, stops the server with status 0', async () => {
  const server = runServer({ DATA_DIR: await createDataDir() }, ['npm', 'start']);
  await server.url;
  server.kill('SIGTERM');
  const { status, output } = await server.ended;
  expect(output).toContain('"stopped"');
  expect(status).toBe(0);
});

test('Ctrl-C on `npm start`, which reaches npm, the shell and the server alike, stops it with status 0', async () => {
  const dataDir = await createDataDir();
  const server = runServer({ DATA_DIR: dataDir }, ['npm', 'start']);
  await server.url;
  const postmaster = await readPostmaster(dataDir);
  process.kill(-server.pid, 'SIGINT');
  const { status, output } = await server.ended;
  expect(output).toContain('"stopped"');
  expect(status).toBe(0);
  expect(await isPostgres(postmaster)).toBe(false);
});
