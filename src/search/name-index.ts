import type { Queryable } from '../postgres/client.ts';
import { printNames } from './search-token.ts';
import { unnest } from '../postgres/unnest.ts';

/** Something that can be found by its names, such as a user by the username and the display name. */
export type Named = { id: bigint; names: string[] };

/** How names of one kind are indexed, as SQL. */
type NameIndex = {
  /** The table that contains the words of the names. */
  table: string;
  /** The table of the users or channels whose names are not indexed yet. */
  backlog: string;
  /** The column with the id of the user or channel, in both tables. */
  owner: string;
  /**
   * Where the names come from: a table, an expression for the names in a row as an array, and a condition that selects
   * the rows.
   */
  source: { table: string; names: string; isFound: string };
};

const nameIndexes = {
  users: {
    table: 'search_people',
    backlog: 'search_user_backlog',
    owner: 'user_id',
    source: { table: 'users', names: `array[username, coalesce(display_name, '')]`, isFound: 'true' },
  },
  channels: {
    table: 'search_channels',
    backlog: 'search_channel_backlog',
    owner: 'chat_id',
    source: { table: 'chats', names: 'array[name]', isFound: `type = 'PUBLIC_CHANNEL'` },
  },
} satisfies Record<string, NameIndex>;

/** The kinds of objects whose names are indexed. */
export type NamedKind = keyof typeof nameIndexes;

const kinds: readonly NamedKind[] = ['users', 'channels'];

/** The maximum number of names that are read directly because they are not indexed yet. */
const maxPending = 500;

/** Adds all names to the backlogs. */
export async function queueNames(client: Queryable): Promise<void> {
  for (const kind of kinds) {
    const { backlog, owner, source } = nameIndexes[kind];
    await client.query(
      `insert into ${backlog} (${owner}) select id from ${source.table} where ${source.isFound} on conflict do nothing`,
    );
  }
}

/** Indexes up to `limit` names of each kind. Returns the number of names that it indexed. */
export async function indexNames(client: Queryable, limit: number): Promise<number> {
  let count = 0;
  for (const kind of kinds) count += await indexBatch(client, kind, limit);
  return count;
}

async function indexBatch(client: Queryable, kind: NamedKind, limit: number): Promise<number> {
  const { table, backlog, owner, source } = nameIndexes[kind];
  // Rows that another transaction has locked stay in the backlog, because the names or their owners are about to
  // change.
  const { rows: queued } = await client.query<{ id: bigint }>({
    name: `${kind}_to_index`,
    text: `select ${owner} as id from ${backlog} order by ${owner} limit $1 for update skip locked`,
    values: [limit],
  });
  if (queued.length === 0) return 0;
  const { rows } = await client.query<Named>({
    name: `names_of_${kind}_to_index`,
    text: `select id, ${source.names} as names from ${source.table} where id = any ($1) for key share skip locked`,
    values: [queued.map(({ id }) => id)],
  });
  await client.query({
    name: `index_${kind}`,
    text: `with finished as (delete from ${backlog} where ${owner} = any ($1::bigint[]))
    insert into ${table} (${owner}, tokens) select * from ${unnest('$1::bigint[]', '$2::text[]')}
    on conflict (${owner}) do update set tokens = excluded.tokens where ${table}.tokens <> excluded.tokens`,
    values: [rows.map(({ id }) => id), rows.map(({ names }) => printNames(names))],
  });
  return rows.length;
}

/** Returns the users or channels whose new names are not in the index yet. */
export async function listPendingNames(pool: Queryable, kind: NamedKind): Promise<Named[]> {
  const { backlog, owner, source } = nameIndexes[kind];
  const { rows } = await pool.query<Named>({
    name: `unindexed_${kind}`,
    text: `select id, ${source.names} as names from ${source.table}
    where id = any (array(select ${owner} from ${backlog} order by ${owner} desc limit $1)) and ${source.isFound}`,
    values: [maxPending],
  });
  return rows;
}
