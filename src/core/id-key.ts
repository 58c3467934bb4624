/** An id in the form in which maps use it as a key. */
export type IdKey = number | bigint;

/**
 * V8 hashes a bigint many times more slowly than a number, and a number is exact for every id that occurs in practice.
 */
export function idKey(id: bigint): IdKey {
  return id <= Number.MAX_SAFE_INTEGER ? Number(id) : id;
}
