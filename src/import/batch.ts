import type { Program } from '../core/asker.ts';
import type { FieldError } from '../errors.ts';
import { inTransaction, type Db, type Queryable } from '../postgres/client.ts';
import { sqlStateOf } from '../postgres/sql-state.ts';
import type { Outcome } from './import-report.ts';
import type { Kind, Said } from './import-line.ts';

/** A line of one kind, with its number. */
export type Numbered<Each extends Kind> = { number: number; said: Said[Each] };

/** The outcome of a line: `note` says what was changed. */
export type Result =
  | { outcome: Outcome; note?: Omit<FieldError, 'code'> }
  | { outcome: 'refused'; error: Omit<FieldError, 'code'> };

/** Writes lines of one kind, inside a transaction, and returns a result for each of them. */
export type Writer<Each extends Kind> = (client: Queryable, lines: readonly Numbered<Each>[]) => Promise<Result[]>;

/**
 * Writes the lines in one transaction. If the database refuses one of them (because a user is being
 * deleted, for example), each half is written in a transaction of its own, and so on, until only that line is refused.
 */
export async function writeBatch<Each extends Kind>(
  db: Pick<Db, 'pool'>,
  program: Program,
  { lines, write }: { lines: readonly Numbered<Each>[]; write: Writer<Each> },
): Promise<Result[]> {
  try {
    return await inTransaction({ pool: db.pool }, (client) => write(client, lines), program);
  } catch (error) {
    // Data exceptions and violated constraints.
    if (!/^2[23]/.test(sqlStateOf(error) ?? '')) throw error;
    if (lines.length === 1) return [refused([], 'the database refuses this line')];
    const middle = Math.ceil(lines.length / 2);
    const halves = [lines.slice(0, middle), lines.slice(middle)];
    const results: Result[] = [];
    for (const half of halves) results.push(...(await writeBatch(db, program, { lines: half, write })));
    return results;
  }
}

/** The result for a line that is refused; `path` leads to the part of it that is wrong. */
export function refused(path: string[], message: string): Result {
  return { outcome: 'refused', error: { path, message } };
}
