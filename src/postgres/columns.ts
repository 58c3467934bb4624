import type { Chat, Invite, Member, Message, Restriction, User } from './generated/prisma/client.ts';

/**
 * Column lists for hand-written statements. Rows selected with these lists have the same shape as Prisma's, so the same
 * GraphQL type accepts both.
 */
type ColumnsOf<Row> = Record<keyof Row, string>;

const userColumns: ColumnsOf<User> = {
  id: 'id',
  username: 'username',
  email: 'email',
  displayName: 'display_name',
  createdAt: 'created_at',
  deletedAt: 'deleted_at',
  avatarFileId: 'avatar_file_id',
  serverRole: 'server_role',
  emailVerifiedAt: 'email_verified_at',
  key: 'key',
  custom: 'custom',
  kind: 'kind',
};

const chatColumns: ColumnsOf<Chat> = {
  id: 'id',
  type: 'type',
  name: 'name',
  description: 'description',
  createdAt: 'created_at',
  lastSeq: 'last_seq',
  lastActivityAt: 'last_activity_at',
  memberCount: 'member_count',
  avatarFileId: 'avatar_file_id',
  slowModeSeconds: 'slow_mode_seconds',
  key: 'key',
  custom: 'custom',
  isImporting: 'is_importing',
};

const memberColumns: ColumnsOf<Member> = {
  chatId: 'chat_id',
  userId: 'user_id',
  role: 'role',
  joinedAt: 'joined_at',
  sinceEvent: 'since_event',
  visibleFromSeq: 'visible_from_seq',
  lastReadSeq: 'last_read_seq',
  notificationLevel: 'notification_level',
};

const messageColumns: ColumnsOf<Message> = {
  id: 'id',
  chatId: 'chat_id',
  seq: 'seq',
  kind: 'kind',
  senderId: 'sender_id',
  content: 'content',
  replyToSeq: 'reply_to_seq',
  clientMessageId: 'client_message_id',
  requestHash: 'request_hash',
  version: 'version',
  mentionsEveryone: 'mentions_everyone',
  fileCount: 'file_count',
  createdAt: 'created_at',
  editedAt: 'edited_at',
  deletedAt: 'deleted_at',
  custom: 'custom',
};

const restrictionColumns: ColumnsOf<Restriction> = {
  id: 'id',
  chatId: 'chat_id',
  userId: 'user_id',
  kind: 'kind',
  until: 'until',
  reason: 'reason',
  createdById: 'created_by_id',
  createdAt: 'created_at',
};

const inviteColumns: ColumnsOf<Invite> = {
  id: 'id',
  code: 'code',
  chatId: 'chat_id',
  createdById: 'created_by_id',
  createdAt: 'created_at',
  expiresAt: 'expires_at',
  usesLeft: 'uses_left',
};

/** `select ${columns.message('m')} from messages m`: every column of the table, under Prisma's names. */
export const columns = {
  user: lister(userColumns),
  chat: lister(chatColumns),
  member: lister(memberColumns),
  message: lister(messageColumns),
  restriction: lister(restrictionColumns),
  invite: lister(inviteColumns),
};

function lister(names: Record<string, string>): (alias: string) => string {
  const lists = new Map<string, string>();
  return (alias) => {
    const known = lists.get(alias);
    if (known !== undefined) return known;
    const list = Object.entries(names)
      .map(([property, column]) => `${alias}.${column} as "${property}"`)
      .join(', ');
    lists.set(alias, list);
    return list;
  };
}

/** The columns of one table in a joined row. */
export type Joined<Row> = {
  /** The columns to select, each under a unique name. */
  columns: string;
  /** Returns the table's row, or null if the join found none. */
  take: (row: Record<string, unknown>) => Row | null;
};

/**
 * Selects the rows of several joined tables, given their aliases: `select ${message.columns}, ${sender.columns} from
 * messages m left join users s …`.
 */
export const joined = {
  user: (alias: string) => join<User>(userColumns, alias),
  chat: (alias: string) => join<Chat>(chatColumns, alias),
  message: (alias: string) => join<Message>(messageColumns, alias),
  member: (alias: string) => join<Member>(memberColumns, alias),
};

function join<Row>(names: ColumnsOf<Row>, alias: string): Joined<Row> {
  const parts = Object.entries<string>(names).map(([property, column]) => ({
    property,
    column: `${alias}.${column}`,
    name: `${alias}.${property}`,
  }));
  return {
    columns: parts.map(({ column, name }) => `${column} as "${name}"`).join(', '),
    take: (row) => {
      if (row[`${alias}.id`] === null) return null;
      const own: Record<string, unknown> = {};
      for (const { property, name } of parts) own[property] = row[name];
      // `names` has an entry for every column of the row.
      return own as Row;
    },
  };
}

/** How a column's value is converted to JSON and back. */
type Kind<Value> = [Value] extends [bigint | null] ? 'bigint' : [Value] extends [Date | null] ? 'date' : 'json';

/**
 * A row that many rows of a statement share, or that only a few of them have. It is returned as JSON in one column of
 * the first row that has it.
 */
export type Nested<Row> = {
  /** Returns the column to select, which is null wherever the SQL condition is false. */
  columnWhen: (condition: string) => string;
  /** Returns the row in this column, or null if the column is null. */
  take: (column: unknown) => Row | null;
};

const userKinds: { [Key in keyof User]: Kind<User[Key]> } = {
  id: 'bigint',
  username: 'json',
  email: 'json',
  displayName: 'json',
  createdAt: 'date',
  deletedAt: 'date',
  avatarFileId: 'bigint',
  serverRole: 'json',
  emailVerifiedAt: 'date',
  key: 'json',
  custom: 'json',
  kind: 'json',
};

const chatKinds: { [Key in keyof Chat]: Kind<Chat[Key]> } = {
  id: 'bigint',
  type: 'json',
  name: 'json',
  description: 'json',
  createdAt: 'date',
  lastSeq: 'json',
  lastActivityAt: 'date',
  memberCount: 'json',
  avatarFileId: 'bigint',
  slowModeSeconds: 'json',
  key: 'json',
  custom: 'json',
  isImporting: 'json',
};

/**
 * Selects a row of another table, given the table's alias, as a single column: `select m.*,
 * ${sender.columnWhen('m.is_first')} as sender from messages m …`. A single column is cheaper, because the driver's
 * work grows with the number of columns, even if they are null.
 */
export const nested = {
  user: (alias: string) => nest<User>(userColumns, userKinds, alias),
  chat: (alias: string) => nest<Chat>(chatColumns, chatKinds, alias),
};

function nest<Row>(
  names: ColumnsOf<Row>,
  kinds: { [Key in keyof Row]: 'bigint' | 'date' | 'json' },
  alias: string,
): Nested<Row> {
  const properties = Object.keys(names) as (keyof Row)[];
  const values = properties.map((property) => {
    const column = `${alias}.${names[property]}`;
    // As a JSON number, a bigint could lose digits.
    return kinds[property] === 'bigint' ? `${column}::text` : column;
  });
  const revivers = properties.map((property) => [property, revivals[kinds[property]]] as const);
  return {
    columnWhen: (condition) => `case when ${condition} then json_build_array(${values.join(', ')}) end`,
    take: (column) => {
      if (!Array.isArray(column)) return null;
      const own: Partial<Record<keyof Row, unknown>> = {};
      revivers.forEach(([property, revive], index) => {
        const value: unknown = column[index];
        own[property] = value === null ? null : revive(value);
      });
      // `names` has an entry for every column of the row.
      return own as Row;
    },
  };
}

const revivals = {
  bigint: (value: unknown) => BigInt(String(value)),
  date: (value: unknown) => new Date(String(value)),
  json: (value: unknown) => value,
};
