import process from 'node:process';

/**
 * Returns `few` in `npm test`, which must stay fast, and `many` in `npm run test:full`. The values are, for example,
 * how many times a test repeats something random, or which of several similar cases it covers. `test:full` runs all
 * files that use this function.
 */
export function rounds<Value>(few: Value, many: Value): Value {
  return process.env['PARLEY_TESTS'] === 'full' ? many : few;
}
