import { readFile, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { SMTPServer } from 'smtp-server';
import { expect, test } from 'vitest';
import { generateKeySet } from '../../src/account/token-key.ts';
import { runCheck } from '../../src/doctor/check.ts';
import { parseSmtpUrl } from '../../src/mail/smtp-server.ts';
import { listen, TestPatient } from '../support/patient.ts';
import { startRedis } from '../support/redis.ts';

const patient = await TestPatient.create();

test('the script prints one line for each check, and fails for the database of these tests, which a crash would destroy', async () => {
  const keys = generateKeySet();
  const { code, stdout } = await patient.runScript({ DATABASE_URL: patient.database.url, JWT_KEYS: keys });
  const lines = stdout.trim().split('\n');
  const failed = lines.filter((line) => line.startsWith('FAIL'));
  expect(failed.map((line) => /: (\w+) is off/.exec(line)?.[1])).toContain('fsync');
  expect(failed.filter((line) => !line.startsWith('FAIL  database settings: '))).toEqual([]);
  expect(code).toBe(1);
  const names = [
    'settings',
    'database',
    'connections',
    'clock',
    'LISTEN',
    'Redis',
    'file store',
    'disk',
    'file descriptors',
  ];
  const seen = names.filter((name) =>
    lines.some((line) => /^(OK|WARN) /.test(line) && line.slice(6).startsWith(`${name}: `)),
  );
  expect(seen).toEqual(names);
  expect(stdout).not.toContain(keys.slice(0, 40));
});

test('a setting that cannot be read is named, and the script exits with 1', async () => {
  const { code, stdout } = await patient.runScript({ PORT: 'many', SMTP_URL: 'smpt://ada:sesame@mail' });
  expect(code).toBe(1);
  expect(stdout).toContain('FAIL  settings: The configuration is not valid');
  expect(stdout).toContain('PORT');
  expect(stdout).not.toContain('sesame');
});

test('a database that cannot be reached, or has too few connections, is a failure', async () => {
  const closed = 'postgres://ada:sesame@127.0.0.1:1/parley';
  const unreachable = await patient.see({ database: { url: closed, directUrl: closed, poolSize: 10 } });
  expect(unreachable.isFit).toBe(false);
  expect(unreachable.text).toMatch(/^FAIL {2}database: The database 127.0.0.1:1\/parley can't be reached/m);
  expect(unreachable.text).not.toContain('sesame');

  const { url } = patient.database;
  const crowded = await patient.see({ database: { url, directUrl: url, poolSize: 1_000 } });
  expect(crowded.isFit).toBe(false);
  expect(crowded.text).toMatch(/^FAIL {2}connections: .*raise max_connections, or lower DATABASE_POOL_SIZE/m);
});

test('a folder that cannot be written is a failure', async () => {
  // Root may write even to a read-only folder, so the data folder is placed below a file.
  const file = join(patient.dataDir, 'a-file');
  await writeFile(file, '');
  const { isFit, text } = await patient.see({ dataDir: join(file, 'data'), database: null });
  expect(isFit).toBe(false);
  expect(text).toMatch(/^FAIL {2}file store: (?!no answer)/m);
  expect(text).toMatch(/^OK {4}database: the embedded PostgreSQL is not running/m);
});

test('the mail server is greeted and signed in to, and what fails is explained without the password', async () => {
  const server = new SMTPServer({
    authOptional: true,
    hideSTARTTLS: true,
    allowInsecureAuth: true,
    onAuth: ({ password }, _, done) => done(password === 'right' ? null : new Error('wrong'), { user: 'ada' }),
  });
  const port = await listen(server);
  const mailOf = async (url: string) => (await patient.see({ database: null, smtpUrl: parseSmtpUrl(url) })).text;
  expect(await mailOf(`smtp://127.0.0.1:${port}`)).toMatch(/^OK {4}mail: .*is ready$/m);
  expect(await mailOf(`smtp://ada:right@127.0.0.1:${port}`)).toMatch(/^OK {4}mail: .*accepts the login$/m);
  const refused = await mailOf(`smtp://ada:sesame@127.0.0.1:${port}`);
  expect(refused).toMatch(/^FAIL {2}mail: .*refuses the user or the password of SMTP_URL/m);
  expect(refused).not.toContain('sesame');
  expect(await mailOf(`smtp://127.0.0.1:${port}?starttls=required`)).toMatch(
    /^FAIL {2}mail: .*certificate is not valid/m,
  );
  expect(await mailOf('smtp://127.0.0.1:1')).toMatch(/^FAIL {2}mail: .*[Nn]o connection/im);
});

test('a right that Redis does not grant is named, and a wrong password is not shown', async () => {
  const redis = await startRedis();
  const [, rights = ''] =
    /^ACL SETUSER parley on >password (.*)$/m.exec(await readFile('docs/operating.md', 'utf8')) ?? [];
  const allow = (...further: string[]) =>
    redis.cli('ACL', 'SETUSER', 'parley', 'reset', 'on', '>password', ...rights.split(' '), ...further);
  const url = `redis://parley:password@127.0.0.1:${redis.port}`;
  await allow();
  expect(await patient.seeRedis(url)).toMatch(/^OK {4}Redis: /m);
  for (const command of ['eval', 'spublish', 'info']) {
    await allow(`-${command}`);
    expect(await patient.seeRedis(url)).toMatch(
      new RegExp(`^FAIL {2}Redis: a right is missing \\(.*'${command}'.*docs/operating`, 'm'),
    );
  }
  await allow('-ssubscribe');
  expect(await patient.seeRedis(url)).toMatch(
    /^FAIL {2}Redis: a message on a sharded channel did not arrive: give the user/m,
  );
  await allow('resetchannels');
  expect(await patient.seeRedis(url)).toMatch(/^FAIL {2}Redis: a right is missing \(.*channel.*docs\/operating/m);
  const refused = await patient.seeRedis(`redis://parley:sesame@127.0.0.1:${redis.port}`);
  expect(refused).toMatch(/^FAIL {2}Redis: it refuses the user or the password of REDIS_URL/m);
  expect(refused).not.toContain('sesame');
});

test('a Redis server that is unreachable, or too old for sharded channels, is a failure', async () => {
  expect(await patient.seeRedis('redis://ada:sesame@127.0.0.1:1')).toMatch(
    /^FAIL {2}Redis: cannot be reached \(ECONNREFUSED\)/m,
  );
  const info = 'redis_version:6.2.14\r\nloading:0\r\n';
  const old = createServer((socket) => {
    socket.on('data', (commands) => {
      for (const command of String(commands).split(/(?=^\*\d)/m)) {
        socket.write(/\binfo\b/i.test(command) ? `$${info.length}\r\n${info}\r\n` : '+OK\r\n');
      }
    });
    socket.on('error', () => undefined);
  });
  expect(await patient.seeRedis(`redis://127.0.0.1:${await listen(old)}`)).toMatch(
    /^FAIL {2}Redis: Redis 6\.2\.14 is too old/m,
  );
});

test('the doctor gives up on a check that hangs', async () => {
  const findings = await runCheck({ name: 'a hanging one', run: () => new Promise(() => undefined) }, 50);
  expect(findings).toEqual([{ level: 'FAIL', text: 'no answer within 0.05 s' }]);
});
