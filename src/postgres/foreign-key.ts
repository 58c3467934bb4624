import { NotFound } from '../errors.ts';
import { constraintOf, sqlStateOf } from './sql-state.ts';

/**
 * Returns the result of a statement that writes a row with a reference to something that another request may delete at
 * the same moment. Throws NotFound if the statement violates one of these foreign keys; a surrounding transaction has
 * then failed. Any other violation is a bug in the server and is thrown unchanged. The caller names the foreign keys,
 * so that no other violation is reported as NotFound.
 */
export async function orGone<Result>(statement: Promise<Result>, foreignKeys: readonly string[]): Promise<Result> {
  try {
    return await statement;
  } catch (error) {
    throw isViolation(error, foreignKeys) ? new NotFound('Something that this refers to was just deleted.') : error;
  }
}

/** 23503: the referenced row does not exist. */
function isViolation(error: unknown, foreignKeys: readonly string[]): boolean {
  return sqlStateOf(error) === '23503' && foreignKeys.includes(constraintOf(error) ?? '');
}
