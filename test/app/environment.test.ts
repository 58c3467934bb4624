import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { readCommandConfig, readConfig } from '../../src/config.ts';
import { generateKeySet } from '../../src/account/token-key.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'parley-secrets-'));
});
afterAll(() => rm(folder, { recursive: true }));

async function write(name: string, text: string): Promise<string> {
  const path = join(folder, name);
  await writeFile(path, text);
  return path;
}

const url = 'postgres://ada:sesame@db/parley';

test('any setting can be read from a file, without the line break at its end', async () => {
  const env = {
    DATABASE_URL_FILE: await write('url', `${url}\n`),
    JWT_KEYS_FILE: await write('keys', `${generateKeySet()}\r\n`),
    PORT_FILE: await write('port', '4001'),
  };
  expect(readConfig(env)).toMatchObject({ databaseUrl: url, port: 4001 });
  expect(readCommandConfig(env)).toMatchObject({ databaseUrl: url });
});

test('a setting and its file together are refused', async () => {
  const env = { DATABASE_URL: url, DATABASE_URL_FILE: await write('url', url), JWT_KEYS: generateKeySet() };
  expect(() => readConfig(env)).toThrow('DATABASE_URL_FILE: not set, because DATABASE_URL is set as well');
  expect(readConfig({ ...env, DATABASE_URL: '' })).toMatchObject({ databaseUrl: url });
});

test('a file that cannot be read or used is named, but its content is not shown', async () => {
  const missing = join(folder, 'missing');
  expect(() => readConfig({ SMTP_URL_FILE: missing })).toThrow(
    `SMTP_URL_FILE: a file that can be read (got "${missing}": ENOENT)`,
  );
  const large = await write('large', 'x'.repeat(1024 * 1024 + 1));
  expect(() => readConfig({ JWT_KEYS_FILE: large })).toThrow('JWT_KEYS_FILE: a file of at most 1 MiB');
  const wrong = await write('wrong', 'mysql://ada:sesame@db/parley');
  const refusal = (() => {
    try {
      readConfig({ DATABASE_URL_FILE: wrong, JWT_KEYS: generateKeySet() });
      return 'none';
    } catch (error) {
      return (error as Error).message;
    }
  })();
  expect(refusal).toContain('DATABASE_URL');
  expect(refusal).not.toContain('sesame');
});

test('CONFIG_FILE has settings, which the environment replaces', async () => {
  const path = await write(
    'parley.env',
    `# our server\nPORT=4001\nHOST="0.0.0.0"\nDATABASE_URL_FILE=${await write('url', url)}\n`,
  );
  const keys = { JWT_KEYS: generateKeySet(), CONFIG_FILE: path };
  expect(readConfig(keys)).toMatchObject({ port: 4001, host: '0.0.0.0', databaseUrl: url });
  const other = 'postgres://grace@db/parley';
  expect(readConfig({ ...keys, PORT: '4002', DATABASE_URL: other })).toMatchObject({
    port: 4002,
    host: '0.0.0.0',
    databaseUrl: other,
  });
});

test('a name in CONFIG_FILE that is no setting is reported', async () => {
  const path = await write('typo.env', 'PROT=4001\n');
  expect(() => readConfig({ CONFIG_FILE: path })).toThrow('CONFIG_FILE: only settings (got PROT, which is not one)');
  expect(() => readConfig({ CONFIG_FILE: join(folder, 'none.env') })).toThrow('CONFIG_FILE: a file that can be read');
});
