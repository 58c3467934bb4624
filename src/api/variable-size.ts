/**
 * The maximum total number of fields of all objects in an operation's variables. An input object of this API has at
 * most 7 fields.
 */
export const maxVariableFields = 1_000;

/**
 * The maximum number of invalid variables that are reported. graphql-js includes the whole value in the message of each
 * error. With its default of 50 errors, an object with 14,000 fields (256 KB) took 1.2 s.
 */
export const maxVariableErrors = 10;

/** Counts the fields of all objects in a JSON value. Stops after the object that exceeds `maxVariableFields`. */
export function countFields(value: unknown): number {
  let count = 0;
  // Not recursive, because a body of 256 KB can be nested 250,000 levels deep.
  const waiting: unknown[] = [value];
  while (waiting.length > 0 && count <= maxVariableFields) {
    const next = waiting.pop();
    if (Array.isArray(next)) for (const item of next) waiting.push(item);
    else if (typeof next === 'object' && next !== null && isPlain(next)) {
      const values: unknown[] = Object.values(next);
      count += values.length;
      for (const each of values) waiting.push(each);
    }
  }
  return count;
}

/** Returns whether an object was parsed from JSON. An uploaded file is also an object, but not a plain object. */
function isPlain(value: object): boolean {
  return Object.getPrototypeOf(value) === Object.prototype;
}
