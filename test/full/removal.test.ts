import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { generateKeySet } from '../../src/account/token-key.ts';
import { createDatabase } from '../support/database.ts';
import { removal } from '../support/removal.ts';
import { runServer } from '../support/server-process.ts';

test('a node that was away while a newer version removed what it uses stops when it is back', async () => {
  await using database = await createDatabase();
  const dataDir = await mkdtemp(join(tmpdir(), 'parley-data-'));
  onTestFinished(() => rm(dataDir, { recursive: true }));
  const node = runServer({ DATABASE_URL: database.url, JWT_KEYS: generateKeySet(), DATA_DIR: dataDir });
  await node.url;
  await database.sql.query(removal);
  // This has the same effect as an absence of the node for ten minutes.
  await database.sql.query(`delete from leases where name like 'node:%'`);
  const { status, output } = await node.ended;
  expect(status, output).toBe(1);
  expect(output).toContain('20990102000000_four is not in this version, which cannot run with it');
});
