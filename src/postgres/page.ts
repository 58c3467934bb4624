import { encodeBase64url } from '../core/base64url.ts';
import { InvalidInput } from '../errors.ts';
import { pairMany } from './pairing.ts';

/** The page size if the client does not specify one. */
export const defaultPageSize = 50;
const maxPageSize = 100;

/** The arguments of a connection, with the names from the Relay specification. */
export type ConnectionArgs = {
  first?: number | null | undefined;
  after?: string | null | undefined;
  last?: number | null | undefined;
  before?: string | null | undefined;
};

/**
 * A request for one page of a list, delimited by keys, not by offsets. The page consists of the first `limit` rows
 * strictly between `after` and `before`, or of the last `limit` rows between them if `isBackward`. A key has one part
 * for each column that the list is ordered by.
 */
export type PageRequest = { limit: number; isBackward: boolean; after: bigint[] | null; before: bigint[] | null };

/**
 * A list that is read in pages. Its cursors contain its name, so that cursors of other lists can be rejected.
 * `maxKey` is the largest value of each part of a key.
 */
export type List = { name: string; maxKey: readonly bigint[] };

const maxBigint = 2n ** 63n - 1n;
/** The last instant that a Date can represent, in ms. */
const maxTimeMs = 8_640_000_000_000_000n;

/** The lists that are read in pages, except those ordered by name (see name-page.ts). */
export const lists = {
  /** Ordered by id, newest first, like the next four lists. */
  adminChats: { name: 'adminChats', maxKey: [maxBigint] },
  adminUsers: { name: 'adminUsers', maxKey: [maxBigint] },
  apiKeys: { name: 'apiKeys', maxKey: [maxBigint] },
  auditEntries: { name: 'auditEntries', maxKey: [maxBigint] },
  bans: { name: 'bans', maxKey: [maxBigint] },
  /** Ordered by the time of the block (in ms) and the user's id. */
  blockedUsers: { name: 'blockedUsers', maxKey: [maxTimeMs, maxBigint] },
  /** Ordered by the time of the last activity (in ms) and the chat's id. */
  chats: { name: 'chats', maxKey: [maxTimeMs, maxBigint] },
  /** Ordered by id, newest first. */
  invites: { name: 'invites', maxKey: [maxBigint] },
  /** Ordered by the user's id. */
  members: { name: 'members', maxKey: [maxBigint] },
  /** Ordered by the message's seq and the file's position in the message. */
  files: { name: 'files', maxKey: [maxBigint, maxBigint] },
  /** Ordered by id, newest first. */
  foundMessages: { name: 'foundMessages', maxKey: [maxBigint] },
  /** Ordered by id, oldest first. */
  foundOldest: { name: 'foundOldest', maxKey: [maxBigint] },
  /**
   * Ordered by score and id, best and newest first. The third part of the key is the newest id that was ranked for the
   * first page.
   */
  foundRanked: { name: 'foundRanked', maxKey: [maxBigint, maxBigint, maxBigint] },
  /** Ordered by seq. */
  messages: { name: 'messages', maxKey: [maxBigint] },
  /** Ordered by id, newest first. */
  reports: { name: 'reports', maxKey: [maxBigint] },
  /** Ordered by id, newest first. */
  webhooks: { name: 'webhooks', maxKey: [maxBigint] },
} satisfies Record<string, List>;

/** The rows of a page in the list's order, and whether there are more rows on either side. */
export type Page<Row> = { rows: Row[]; hasNextPage: boolean; hasPreviousPage: boolean };

/** Reads the arguments of a connection for this list. Throws InvalidInput. */
export function readPage(args: ConnectionArgs, list: List): PageRequest {
  const { first, last } = args;
  if (first != null && last != null) {
    throw new InvalidInput([{ path: ['last'], code: 'NOT_ALLOWED', message: 'must not be combined with `first`' }]);
  }
  return {
    limit: last == null ? readSize(first, 'first') : readSize(last, 'last'),
    isBackward: last != null,
    after: readKey(args.after, list, 'after'),
    before: readKey(args.before, list, 'before'),
  };
}

/**
 * Returns Prisma's arguments for a page of a list that is ordered by id, newest first: the condition on `id`, and the
 * other arguments in `rest`.
 */
export function newestFirst({ limit, isBackward, after, before }: PageRequest) {
  return {
    id: { ...(after?.[0] !== undefined && { lt: after[0] }), ...(before?.[0] !== undefined && { gt: before[0] }) },
    rest: { orderBy: { id: isBackward ? ('asc' as const) : ('desc' as const) }, take: limit + 1 },
  };
}

/**
 * Returns the parameters of a statement that reads a page of a list whose key has one part: `after`, `before`, and
 * the number of rows to read. The statement reads the keys that are larger than `after` and smaller than `before`.
 */
export function pageBounds({ after, before, limit }: PageRequest): [after: bigint, before: bigint, count: number] {
  return [after?.[0] ?? -1n, before?.[0] ?? 2n ** 62n, limit + 1];
}

/**
 * Makes a page from the rows that a statement has read: up to `limit + 1` rows, in the order in which they were read.
 */
export function toPage<Row>(read: Row[], request: PageRequest): Page<Row> {
  const hasMore = read.length > request.limit;
  const rows = read.slice(0, request.limit);
  if (request.isBackward) rows.reverse();
  return {
    rows,
    hasNextPage: request.isBackward ? request.before !== null : hasMore,
    hasPreviousPage: request.isBackward ? hasMore : request.after !== null,
  };
}

/** Makes one page per input from the rows of a statement that reads for many inputs; see `pairing.ts`. */
export function toPages<Row extends { index: number }>(
  rows: readonly Row[],
  inputs: readonly unknown[],
  request: PageRequest,
): Page<Row>[] {
  return pairMany(rows, inputs, (row) => row).map((read) => toPage(read, request));
}

/** Returns a row's position in its list, which is opaque to clients. */
export function encodeCursor(list: List, key: readonly (bigint | number)[]): string {
  return encodeBase64url(`${list.name}:${key.join(',')}`);
}

/**
 * Returns the requested number of rows, or `byDefault`. Throws an InvalidInput for the argument `name` if it is not
 * between 0 and `maxPageSize`.
 */
export function readSize(size: number | null | undefined, name: string, byDefault = defaultPageSize): number {
  if (size == null) return byDefault;
  if (size < 0 || size > maxPageSize) {
    throw new InvalidInput([{ path: [name], code: 'NOT_ALLOWED', message: `must be from 0 to ${maxPageSize}` }]);
  }
  return size;
}

function readKey(cursor: string | null | undefined, list: List, name: string): bigint[] | null {
  if (cursor == null) return null;
  const text = cursor.length > 100 ? '' : Buffer.from(cursor, 'base64url').toString('latin1');
  const digits = /^([a-z]+):([0-9]{1,19}(?:,[0-9]{1,19})*)$/i.exec(text);
  const key = digits?.[2]?.split(',').map(BigInt) ?? [];
  const isOfList = digits?.[1] === list.name && key.length === list.maxKey.length;
  // Each position has exactly one cursor, so a cursor that does not encode back to itself was not made here.
  if (
    !isOfList ||
    encodeCursor(list, key) !== cursor ||
    list.maxKey.some((max, index) => (key[index] ?? max + 1n) > max)
  ) {
    throw new InvalidInput([{ path: [name], code: 'MALFORMED', message: 'is not a cursor of this list' }]);
  }
  return key;
}
