import { cp, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { generateKeySet } from '../../src/account/token-key.ts';
import { ask, post, signUp, type TestClient } from '../support/client.ts';
import { debianPrograms, startDebianPostgres } from '../support/debian-postgres.ts';
import { runServer } from '../support/server-process.ts';
import { envelopeOf, eventsDocument, openStream } from '../support/stream.ts';
import { startTraffic } from '../support/traffic.ts';

async function createFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'parley-backup-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

function clientOf(url: string): TestClient {
  return {
    post: (document, variables, request) => post(url, document, variables, request),
    ask: (document, variables, token) => ask(url, document, variables, token),
  };
}

test.runIf(debianPrograms !== null)('a backup under traffic, database first, restores with all its files', async () => {
  const [folder, dataDir, restoredDir] = [await createFolder(), await createFolder(), await createFolder()];
  const [original, restored] = [await startDebianPostgres(), await startDebianPostgres()];
  const env = { JWT_KEYS: generateKeySet(), RATE_LIMITS: 'off', FILE_INLINE_BYTES: '0' };
  const server = runServer({ ...env, DATABASE_URL: original.url, DATA_DIR: dataDir });
  const url = await server.url;
  const client = clientOf(url);
  const [ada, grace] = await Promise.all([signUp(client, 'ada'), signUp(client, 'grace')]);
  const traffic = await startTraffic(url, ada, grace);
  await traffic.progress(10);

  const files = [...traffic.files];
  const dump = join(folder, 'parley.dump');
  await original.tool('pg_dump', ['--format=custom', `--file=${dump}`, original.url]);
  await traffic.progress(10);
  const incoming = join(dataDir, 'files/incoming');
  await cp(join(dataDir, 'files'), join(folder, 'files'), { recursive: true, filter: (path) => path !== incoming });
  await traffic.progress(10);
  const { errors } = await traffic.stop();
  expect(errors).toEqual([]);
  const cursor = (await ada.ask('{ viewer { eventCursor } }')).viewer.eventCursor;
  server.kill('SIGKILL');
  await server.ended;

  await restored.tool('pg_restore', [`--dbname=${restored.url}`, '--no-owner', '--exit-on-error', dump]);
  await cp(join(folder, 'files'), join(restoredDir, 'files'), { recursive: true });
  const again = runServer({ ...env, DATABASE_URL: restored.url, DATA_DIR: restoredDir });
  const restoredUrl = await again.url;
  for (const file of files) {
    const response = await fetch(new URL(file, restoredUrl));
    expect(response.status).toBe(200);
    expect((await response.arrayBuffer()).byteLength).toBeGreaterThanOrEqual(100_000);
  }
  // A client that has seen more than the backup contains starts over, so that it misses nothing.
  await using stream = await openStream({ url: restoredUrl }, ada, eventsDocument, { variables: { after: cursor } });
  expect(envelopeOf(await stream.next('Reset')).event).toMatchObject({ __typename: 'Reset' });
});
