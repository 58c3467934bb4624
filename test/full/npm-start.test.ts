import { expect, test } from 'vitest';
import { createDataDir, runServer } from '../support/server-process.ts';

test('SIGTERM to npm alone, as from a supervisor, stops the server with status 0', async () => {
  const server = runServer({ DATA_DIR: await createDataDir() }, ['npm', 'start']);
  await server.url;
  server.kill('SIGTERM');
  const { status, output } = await server.ended;
  expect(output).toContain('"stopped"');
  expect(status).toBe(0);
});
