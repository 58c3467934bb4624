import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pino } from 'pino';
import { expect, test, vi } from 'vitest';
import { start } from '../../src/app.ts';
import { readConfig } from '../../src/config.ts';
import { createDataDir } from '../support/server-process.ts';

/** Starts a server in this process, to find out why it cannot start. */
const startIn = (dataDir: string) => start(readConfig({ DATA_DIR: dataDir, PORT: '0' }), pino({ level: 'silent' }));

// On a busy machine, starting whole servers takes a while.
vi.setConfig({ testTimeout: 60_000 });

test('a folder whose database had a superuser as its only role is refused in one sentence', async () => {
  const dataDir = await createDataDir();
  await mkdir(join(dataDir, 'postgres/cluster'), { recursive: true });
  await writeFile(join(dataDir, 'postgres/password'), 'secret');
  await expect(startIn(dataDir)).rejects.toThrow(
    /^The database in .* was created by a version from before the first release[^.]*\.$/,
  );
});

test('the error names a folder that cannot be written', async () => {
  await expect(startIn('/dev/null/data')).rejects.toThrow(/^Cannot use DATA_DIR: .*\/dev\/null\/data/);
});
