import { NotFound } from '../errors.ts';
import { constraintOf, sqlStateOf } from './sql-state.ts';

/**
 * What the statement answers, which points at something that somebody else may delete at the same moment: where one of
 * these foreign keys finds it gone, NotFound, and a transaction around it has failed. Any other violation stays what it
 * is, a fault of ours. By name, so that the client isn't told of that as if it were their bad luck.
 */
export async function orGone<Result>(statement: Promise<Result>, foreignKeys: readonly string[]): Promise<Result> {
  try {
    return await statement;
  } catch (error) {
    throw isViolation(error, foreignKeys) ? new NotFound('Something that this refers to was just deleted.') : error;
  }
}

/** 23503: what it points at isn't there. */
function isViolation(error: unknown, foreignKeys: readonly string[]): boolean {
  return sqlStateOf(error) === '23503' && foreignKeys.includes(constraintOf(error) ?? '');
}
