/** How many rows one statement reads. With texts of 10,000 characters, these rows add up to a few megabytes. */
export const pageSize = 100;
/** How many ids or similarly small rows one statement reads. */
export const largePageSize = 5_000;

/** Reads a user's rows after a position, in a fixed order. `null` stands for the beginning. */
type Reading<Row> = { size: number; read: (after: Row | null) => Promise<Row[]> };

/**
 * Reads rows page by page, with one statement per page, so that no connection is held while the client of an export is
 * slow.
 */
export async function* inPages<Row>({ size, read }: Reading<Row>): AsyncGenerator<Row[]> {
  for (let after: Row | null = null; ;) {
    const rows: Row[] = await read(after);
    if (rows.length > 0) yield rows;
    after = rows.at(-1) ?? null;
    if (rows.length < size) return;
  }
}
