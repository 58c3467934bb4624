import { beforeAll, expect, test } from 'vitest';
import { asSuperuser, createDatabase, type TestDatabase } from '../support/database.ts';
import { atFileEnd } from '../support/file-end.ts';

let database: TestDatabase;
beforeAll(async () => void (database = await createDatabase()));
atFileEnd(() => database.drop());

async function list(query: string): Promise<string[]> {
  const { rows } = await database.sql.query<{ name: string }>(query);
  return rows.map(({ name }) => name).toSorted();
}

const ownTables = `
  select c.oid, c.relname from pg_class c
  where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p') and c.relname <> '_prisma_migrations'`;

/** Leaves out the functions of extensions, which are not part of this project. */
const ownFunctions = `
  select p.* from pg_proc p
  where p.pronamespace = 'public'::regnamespace and not exists (
    select from pg_depend d where d.classid = 'pg_proc'::regclass and d.objid = p.oid and d.deptype = 'e')`;

test('every trigger fires for replication, too', async () => {
  const triggers = `
    select format('%s on %s', t.tgname, c.relname) as name
    from pg_trigger t join (${ownTables}) c on c.oid = t.tgrelid where not t.tgisinternal`;
  expect((await list(triggers)).length).toBeGreaterThan(50);
  expect(await list(`${triggers} and t.tgenabled <> 'A'`)).toEqual([]);
});

test.each(['origin', 'replica'])(
  'no table can be truncated by a session with the replication role %s',
  async (role) => {
    const tables = await list(`select relname as name from (${ownTables}) c`);
    expect(tables.length).toBeGreaterThan(25);
    await asSuperuser(database, async (client) => {
      await client.query(`set session_replication_role = ${role}`);
      for (const table of tables) {
        await expect(client.query(`truncate ${table} cascade`), table).rejects.toMatchObject({ code: '0A000' });
      }
    });
  },
);

test('PUBLIC may not execute any function, not even one that is created later', async () => {
  await database.sql.query('create function later() returns int language sql return 1');
  expect((await list(`select proname as name from (${ownFunctions}) p`)).length).toBeGreaterThan(50);
  const open = `
    select proname as name from (${ownFunctions}) p
    where exists (select from aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) where grantee = 0)`;
  expect(await list(open)).toEqual([]);
  await database.sql.query('grant execute on function later() to public');
  expect(await list(open)).toEqual(['later']);
  await database.sql.query('drop function later()');
});

test('PUBLIC can create nothing in the schema of our functions, even in a database that once allowed it', async () => {
  await database.sql.query('grant create on schema public to public');
  const mayCreate = () => list(`select 'public' as name where has_schema_privilege('pg_monitor', 'public', 'create')`);
  expect(await mayCreate()).toEqual(['public']);
  await database.sql.query('select seal_schema()');
  expect(await mayCreate()).toEqual([]);
});

test("every function that runs with its owner's rights has a fixed search_path", async () => {
  const definers = `select proname as name from (${ownFunctions}) p where prosecdef`;
  expect((await list(definers)).length).toBeGreaterThan(20);
  expect(await list(`${definers} and not coalesce(proconfig, '{}') && array['search_path=public, pg_temp']`)).toEqual(
    [],
  );
});

test("no function that runs with its owner's rights accepts rows of a table other than its own", async () => {
  const triggers = await database.sql.query<{ name: string; table: string; definition: string }>(`
    select distinct on (p.proname) p.proname as name, c.relname as "table", pg_get_triggerdef(t.oid) as definition
    from (${ownFunctions}) p
    join pg_trigger t on t.tgfoid = p.oid join pg_class c on c.oid = t.tgrelid
    where p.prosecdef and p.prorettype = 'trigger'::regtype and not t.tgisinternal
    order by p.proname`);
  expect(triggers.rows.length).toBeGreaterThan(20);
  const client = await database.sql.connect();
  try {
    for (const { name, table, definition } of triggers.rows) {
      await client.query('begin');
      // The new trigger is a copy of an existing trigger, but without its condition, so that any row fires it.
      await client.query(`create temp table made_up (like public.${table})`);
      const event = /(insert|update|delete)/i.exec(definition)?.[1] ?? '';
      const transitions = /REFERENCING (.+) FOR EACH/.exec(definition)?.[1];
      const timing = transitions === undefined ? 'before' : `after`;
      const level = transitions === undefined ? 'row' : 'statement';
      await client.query(`create trigger made_up ${timing} ${event} on made_up
        ${transitions === undefined ? '' : `referencing ${transitions}`} for each ${level} execute function ${name}()`);
      await client.query(`alter table made_up disable trigger made_up`);
      const columns = await client.query<{ name: string }>(
        `select attname as name from pg_attribute where attrelid = 'made_up'::regclass and attnum > 0 and attnotnull`,
      );
      for (const column of columns.rows) await client.query(`alter table made_up alter ${column.name} drop not null`);
      await client.query('insert into made_up default values; alter table made_up enable trigger made_up');
      const [column] = (
        await client.query<{ name: string }>(
          `select attname as name from pg_attribute where attrelid = 'made_up'::regclass and attnum = 1`,
        )
      ).rows;
      const fire: Record<string, string> = {
        insert: 'insert into made_up default values',
        update: `update made_up set ${column?.name} = ${column?.name}`,
        delete: 'delete from made_up',
      };
      await expect(client.query(fire[event.toLowerCase()] ?? ''), name).rejects.toMatchObject({
        code: '42501',
        message: expect.stringContaining('only triggers of its own table'),
      });
      await client.query('rollback');
    }
  } finally {
    client.release(true);
  }
});

test('no unlogged table uses a sequence, and no sequence is unlogged', async () => {
  const unlogged = `select c.relname as name from pg_class c where c.relnamespace = 'public'::regnamespace and c.relpersistence = 'u'`;
  expect(await list(`${unlogged} and c.relkind = 'r'`)).toContain('event_drafts');
  expect(await list(`${unlogged} and c.relkind = 'S'`)).toEqual([]);
  expect(
    await list(`${unlogged} and exists (
      select from pg_attribute a left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
      where a.attrelid = c.oid and (a.attidentity <> '' or pg_get_expr(d.adbin, d.adrelid) like '%nextval%'))`),
  ).toEqual([]);
});
