import { InvalidInput } from '../errors.ts';
import { readSize, type PageRequest } from './page.ts';

/** A place in a list that is ordered by name (in lower case, byte by byte) and, among equal ones, by id. */
export type NameKey = { name: string; id: bigint };

/** The rows behind `after`, `limit` of them at most. */
export type NamePageRequest = { limit: number; after: NameKey | null };

/** The longest cursor: of a name of 64 characters that lower case has made longer. */
export const maxCursorLength = 1_024;
const maxBigint = 2n ** 63n - 1n;

/** Reads the arguments of the list of that name. Throws InvalidInput. */
export function readNamePage(
  args: { first?: number | null | undefined; after?: string | null | undefined },
  list: string,
): NamePageRequest {
  return { limit: readSize(args.first, 'first'), after: args.after == null ? null : readCursor(args.after, list) };
}

/** The same request in the terms of `toPage`. */
export function forwardPage({ limit, after }: NamePageRequest): PageRequest {
  return { limit, isBackward: false, after: after === null ? null : [after.id], before: null };
}

/** A row's place in the list of that name, opaque to clients. */
export function encodeNameCursor(list: string, { name, id }: NameKey): string {
  return Buffer.from(`${list}:${id}:${name}`).toString('base64url');
}

function readCursor(cursor: string, list: string): NameKey {
  const text = cursor.length > maxCursorLength ? '' : Buffer.from(cursor, 'base64url').toString();
  const [, listName, digits = '', name = ''] = /^([a-zA-Z]+):([0-9]{1,19}):([^\u0000-\u001f]*)$/.exec(text) ?? [];
  const key = { name, id: BigInt(digits) };
  // One place has one cursor: what does not come out as it went in was not made here.
  if (listName !== list || key.id > maxBigint || encodeNameCursor(list, key) !== cursor) {
    throw new InvalidInput([{ path: ['after'], code: 'MALFORMED', message: 'is not a cursor of this list' }]);
  }
  return key;
}
