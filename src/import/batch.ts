import type { Program } from '../core/asker.ts';
import type { FieldError } from '../errors.ts';
import { inTransaction, type Db, type Queryable } from '../postgres/client.ts';
import { sqlStateOf } from '../postgres/sql-state.ts';
import type { Outcome } from './import-report.ts';
import type { Kind, Said } from './import-line.ts';

/** A line of one kind, with its line number. */
export type Numbered<Each extends Kind> = { number: number; said: Said[Each] };

/** The outcome for a line. `note` describes how the imported data differs from the line. */
export type Result =
  | { outcome: Outcome; note?: Omit<FieldError, 'code'> }
  | { outcome: 'refused'; error: Omit<FieldError, 'code'> };

/** Writes lines of one kind, inside a transaction, and returns a result for each of them. */
export type Writer<Each extends Kind> = (client: Queryable, lines: readonly Numbered<Each>[]) => Promise<Result[]>;

/**
 * Writes the lines in one transaction. If the database refuses a line (because a user is being deleted, for example),
 * each half of the lines is written in a separate transaction. The halves are divided further until only that line is
 * refused.
 */
export async function writeBatch<Each extends Kind>(
  db: Pick<Db, 'pool'>,
  program: Program,
  { lines, write }: { lines: readonly Numbered<Each>[]; write: Writer<Each> },
): Promise<Result[]> {
  try {
    return await inTransaction({ pool: db.pool }, (client) => write(client, lines), program);
  } catch (error) {
    // SQLSTATE classes 22 (data exception) and 23 (integrity constraint violation).
    if (!/^2[23]/.test(sqlStateOf(error) ?? '')) throw error;
    if (lines.length === 1) return [refused([], 'the database refuses this line')];
    const middle = Math.ceil(lines.length / 2);
    const halves = [lines.slice(0, middle), lines.slice(middle)];
    const results: Result[] = [];
    for (const half of halves) results.push(...(await writeBatch(db, program, { lines: half, write })));
    return results;
  }
}

/** Returns the result for a refused line. `path` points to the invalid part of the line. */
export function refused(path: string[], message: string): Result {
  return { outcome: 'refused', error: { path, message } };
}
