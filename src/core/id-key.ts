/** An id as the key of a map. */
export type IdKey = number | bigint;

/** V8 hashes a bigint many times slower than a number, and a number has all digits of every id that occurs. */
export function idKey(id: bigint): IdKey {
  return id <= Number.MAX_SAFE_INTEGER ? Number(id) : id;
}
