import type { Queryable } from '../../src/postgres/client.ts';
import type { Column, Shape, Table } from './shape.ts';

/**
 * Reads the shape of a database from the system catalogs. Leaves out Prisma's own ledger and everything that
 * schema.prisma cannot express: indexes on expressions, on part of a table or of a kind other than btree, checks,
 * generation expressions and triggers.
 */
export async function readCatalog(sql: Queryable): Promise<Shape> {
  const columns = await readColumns(sql);
  const keys = [...(await readIndexes(sql)), ...(await readForeignKeys(sql))];
  const tables = [...new Set(columns.map(({ table }) => table))].map((name): [string, Table] => [
    name,
    {
      columns: Object.fromEntries(
        columns.filter(({ table }) => table === name).map(({ column, ...rest }) => [column, describeColumn(rest)]),
      ),
      keys: Object.fromEntries(keys.filter(({ table }) => table === name).map((key) => [key.name, key.text])),
    },
  ]);
  return { enums: await readEnums(sql), tables: Object.fromEntries(tables) };
}

type ColumnRow = {
  table: string;
  column: string;
  type: string;
  is_nullable: boolean;
  is_identity: boolean;
  default_expression: string | null;
};

async function readColumns(sql: Queryable): Promise<ColumnRow[]> {
  const { rows } = await sql.query<ColumnRow>(`
    select c.relname as "table", a.attname as "column", format_type(a.atttypid, a.atttypmod) as type,
      not a.attnotnull as is_nullable, a.attidentity <> '' as is_identity,
      case a.attgenerated when '' then pg_get_expr(d.adbin, d.adrelid) else 'generated' end as default_expression
    from pg_class c
    join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
    left join pg_attrdef d on d.adrelid = c.oid and d.adnum = a.attnum
    where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p') and c.relname <> '_prisma_migrations'`);
  return rows;
}

function describeColumn(row: Omit<ColumnRow, 'column'>): Column {
  const expression = row.default_expression?.replace(/::[\w ]+$/, '').replace(/^'(.*)'$/, '$1') ?? null;
  return { type: row.type, isNullable: row.is_nullable, default: row.is_identity ? 'identity' : expression };
}

async function readIndexes(sql: Queryable): Promise<{ table: string; name: string; text: string }[]> {
  const { rows } = await sql.query<{ table: string; name: string; kind: string; columns: string }>(`
    select t.relname as "table", c.relname as name,
      case when i.indisprimary then 'primary key' when i.indisunique then 'unique' else 'index' end as kind,
      (
        select string_agg(a.attname, ', ' order by k.place)
        from unnest(i.indkey::smallint[]) with ordinality as k (attnum, place)
        join pg_attribute a on a.attrelid = i.indrelid and a.attnum = k.attnum
        where k.place <= i.indnkeyatts
      ) as columns
    from pg_index i
    join pg_class c on c.oid = i.indexrelid
    join pg_class t on t.oid = i.indrelid
    join pg_am m on m.oid = c.relam
    where c.relnamespace = 'public'::regnamespace and i.indexprs is null and i.indpred is null and m.amname = 'btree'`);
  return rows.map(({ table, name, kind, columns }) => ({ table, name, text: `${kind} (${columns})` }));
}

async function readForeignKeys(sql: Queryable): Promise<{ table: string; name: string; text: string }[]> {
  const { rows } = await sql.query<{
    table: string;
    name: string;
    definition: string;
    on_delete: string;
    on_update: string;
  }>(`
    select t.relname as "table", k.conname as name,
      (
        select format('(%s) references %s (%s)', string_agg(a.attname, ', ' order by n),
          f.relname, string_agg(b.attname, ', ' order by n))
        from generate_subscripts(k.conkey, 1) n
        join pg_attribute a on a.attrelid = k.conrelid and a.attnum = k.conkey[n]
        join pg_attribute b on b.attrelid = k.confrelid and b.attnum = k.confkey[n]
      ) as definition, k.confdeltype as on_delete, k.confupdtype as on_update
    from pg_constraint k
    join pg_class t on t.oid = k.conrelid
    join pg_class f on f.oid = k.confrelid
    where k.contype = 'f' and k.connamespace = 'public'::regnamespace`);
  return rows.map(({ table, name, definition, on_delete: onDelete, on_update: onUpdate }) => ({
    table,
    name,
    text: `${definition} on delete ${actions[onDelete]} on update ${actions[onUpdate]}`,
  }));
}

/** The meanings of the letters in pg_constraint.confdeltype. */
const actions: Record<string, string> = {
  a: 'no action',
  r: 'restrict',
  c: 'cascade',
  n: 'set null',
  d: 'set default',
};

async function readEnums(sql: Queryable): Promise<Record<string, string[]>> {
  const { rows } = await sql.query<{ name: string; labels: string[] }>(`
    select t.typname as name, array_agg(e.enumlabel::text order by e.enumsortorder) as labels
    from pg_type t
    join pg_enum e on e.enumtypid = t.oid
    where t.typnamespace = 'public'::regnamespace
    group by t.typname`);
  return Object.fromEntries(rows.map(({ name, labels }) => [name, labels]));
}
