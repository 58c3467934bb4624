import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { connectDatabase, disconnectDatabase, type Db } from '../../src/postgres/client.ts';
import { createDatabase, type TestDatabase } from '../support/database.ts';

let database: TestDatabase;
let db: Db;
let driver: pg.Client;
beforeAll(async () => {
  database = await createDatabase();
  db = connectDatabase({ url: database.url, maxConnections: 1, statementTimeoutMs: 8_000, onError: () => {} });
  driver = new pg.Client({ connectionString: database.url });
  await driver.connect();
});
afterAll(async () => {
  await driver.end();
  await disconnectDatabase(db);
  await database.drop();
});

const statements: [text: string, ...values: unknown[]][] = [
  ['select $1::bigint[] as a', [1n, null, 3n]],
  ['select $1::bigint[] as a', []],
  ['select $1::float8[] as a', [Number.NaN, Infinity, -Infinity, 1e21, 1e-7]],
  ['select $1::text[] as a', ['a', 'NULL', '"', '\\', '{', ',', '', null]],
  [
    'select $1::int[] as a',
    [
      [1, 2],
      [3, 4],
    ],
  ],
  ['select $1::bytea[] as a, $2::bytea as b', [Buffer.from('abc')], Buffer.from([0, 1, 255])],
  ['select $1::jsonb[] as a, $2::jsonb as b', [{ a: 1 }, { b: '"' }], { a: [1, { b: null }] }],
  ['select $1::timestamptz[] as a, $2::timestamptz as b', [new Date(0)], new Date('2026-01-02T03:04:05.678Z')],
  [
    `select 'infinity'::timestamptz as a, '0044-03-15 BC'::timestamptz as b, '12026-01-01'::timestamptz as c,
      '2000-01-01 00:00:00.57+05:30'::timestamptz as d, null as e where $1::bool`,
    true,
  ],
  ['select $1::text as a, null as b, 2 as c', undefined],
  ['select x from generate_series(1, $1::int) x', 3],
  [
    `select x % 3 as a, (x % 2) * 9007199254740993 - 5 as b, -x as c, x > 3 as d, nullif(x % 4, 0) as e,
      repeat(chr(233), x % 3) as f, (array['ö', 'oe', 'o'])[1 + x % 3]::varchar as g, x::smallint as h,
      (array['GROUP', 'SINGLE'])[1 + x / 3 % 2]::chat_type as i, repeat('é', 12 + x % 6) as j
    from generate_series(-7, $1::int) x`,
    9,
  ],
  [
    `select (array[9223372036854775807, -9223372036854775808, 0, 999999999999999, 1000000000000000])[x] as a,
      (array[2147483647, -2147483648, 0])[x] as b from generate_series(1, $1::int) x`,
    5,
  ],
  ['select where $1::bool', true],
  ['insert into rate_limits select from generate_series(1, $1::int) where false', 3],
  ['select 10 / (3 - x) as a from generate_series(1, $1::int) x', 5],
  ['select $1::nonsense', 1],
  ['select $1::int as a', 'abc'],
];

test.each(statements)('a named statement answers as the driver’s own does, twice: %s', async (text, ...values) => {
  const ask = async (query: (statement: pg.QueryConfig) => Promise<pg.QueryResult>) => {
    try {
      const { rows, rowCount, command } = await query({ name: text.slice(0, 60), text, values });
      return { rows, rowCount, command };
    } catch (error) {
      return { code: (error as pg.DatabaseError).code };
    }
  };
  const own = await ask((statement) => driver.query(statement));
  for (let round = 0; round < 2; round += 1) {
    // Bigint is the only type that this server parses differently from the driver.
    const found = await ask((statement) => db.pool.query(statement));
    expect(
      JSON.parse(JSON.stringify(found, (_, value) => (typeof value === 'bigint' ? String(value) : value))),
    ).toEqual(JSON.parse(JSON.stringify(own)));
  }
});
