import { expect, test } from 'vitest';
import { readConfig } from '../../src/config.ts';
import { parseDatabaseUrl } from '../../src/postgres/database-url.ts';

const certificate = 'package.json';

test.each([
  ['', ''],
  ['?sslmode=disable', '?sslmode=disable'],
  ['?sslmode=no-verify', '?sslmode=no-verify'],
  ['?sslmode=require', '?sslmode=require&uselibpqcompat=true'],
  ['?sslmode=verify-full', '?sslmode=verify-full&uselibpqcompat=true'],
  [
    `?sslmode=verify-ca&sslrootcert=${certificate}`,
    `?sslmode=verify-ca&sslrootcert=${certificate}&uselibpqcompat=true`,
  ],
  ['?target_session_attrs=read-write', '?target_session_attrs=read-write'],
  ['?schema=public', '?schema=public'],
])('a database URL that ends in "%s" is read as libpq reads it', (given, read) => {
  expect(parseDatabaseUrl(`postgres://ada:secret@db/parley${given}`)).toBe(`postgres://ada:secret@db/parley${read}`);
});

test.each([
  ['mysql://ada:secret@db/parley', 'postgres://'],
  ['postgres://ada:secret@db:port/parley', 'not a URL'],
  ['postgres://ada:secret@one:5432,two:5432/parley', 'several hosts'],
  ['postgres://ada:secret@one,two/parley?target_session_attrs=read-write', 'several hosts'],
  ['postgres://ada:secret@db/parley?host=one,two', 'several hosts'],
  ['postgres://ada:secret@db/parley?target_session_attrs=standby', 'target_session_attrs=standby'],
  ['postgres://ada:secret@db/parley?sslmode=prefer', 'sslmode=require'],
  ['postgres://ada:secret@db/parley?sslmode=verify', 'sslmode must be one of'],
  ['postgres://ada:secret@db/parley?sslmode=verify-ca', 'sslrootcert='],
  ['postgres://ada:secret@db/parley?sslrootcert=system', 'come with Node'],
  ['postgres://ada:secret@db/parley?sslmode=require&sslrootcert=/nowhere.pem', "can't be read (ENOENT)"],
  ['postgres://ada:secret@db/parley?schema=chat', 'schema public'],
])('%s is refused with a helpful sentence, and without its password', (url, sentence) => {
  const refusal = () => readConfig({ DATABASE_URL: url, JWT_KEYS: '' });
  expect(refusal).toThrow(sentence);
  expect(refusal).not.toThrow('secret');
});
