import { InvalidInput } from '../errors.ts';
import { readSize, type PageRequest } from './page.ts';

/** A position in a list that is ordered by name (in lower case, byte by byte) and, for equal names, by id. */
export type NameKey = { name: string; id: bigint };

/** A request for at most `limit` rows after the position `after`. */
export type NamePageRequest = { limit: number; after: NameKey | null };

/**
 * The length of the longest possible cursor, which belongs to a name of 64 characters that becomes longer in lower
 * case.
 */
export const maxCursorLength = 1_024;
const maxBigint = 2n ** 63n - 1n;

/** Reads the arguments of a request for a page of the list `list`. Throws InvalidInput. */
export function readNamePage(
  args: { first?: number | null | undefined; after?: string | null | undefined },
  list: string,
): NamePageRequest {
  return { limit: readSize(args.first, 'first'), after: args.after == null ? null : readCursor(args.after, list) };
}

/** Returns the same request in the form that `toPage` expects. */
export function forwardPage({ limit, after }: NamePageRequest): PageRequest {
  return { limit, isBackward: false, after: after === null ? null : [after.id], before: null };
}

/** Returns the cursor of a row in the list `list`, which is opaque to clients. */
export function encodeNameCursor(list: string, { name, id }: NameKey): string {
  return Buffer.from(`${list}:${id}:${name}`).toString('base64url');
}

function readCursor(cursor: string, list: string): NameKey {
  const text = cursor.length > maxCursorLength ? '' : Buffer.from(cursor, 'base64url').toString();
  const [, listName, digits = '', name = ''] = /^([a-zA-Z]+):([0-9]{1,19}):([^\u0000-\u001f]*)$/.exec(text) ?? [];
  const key = { name, id: BigInt(digits) };
  // Each position has exactly one cursor, so a cursor that changes when it is decoded and encoded again was not made
  // here.
  if (listName !== list || key.id > maxBigint || encodeNameCursor(list, key) !== cursor) {
    throw new InvalidInput([{ path: ['after'], code: 'MALFORMED', message: 'is not a cursor of this list' }]);
  }
  return key;
}
