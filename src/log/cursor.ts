/**
 * A position in the log of one database: `epoch.id`, opaque to clients. The epoch names the history that the id belongs
 * to, so that an old cursor is recognised after a restore or a fail-over instead of pointing at an unrelated event.
 */
export type Cursor = { epoch: string; id: bigint };

/** Formats a cursor as the string that clients store. */
export function formatCursor({ epoch, id }: Cursor): string {
  return `${epoch}.${id}`;
}

/** Parses a string that a client sent back; returns null if it is not a cursor. */
export function parseCursor(text: string): Cursor | null {
  const match = /^([0-9a-f]{12})\.(0|[1-9][0-9]{0,18})$/.exec(text);
  return match?.[1] === undefined || match[2] === undefined ? null : { epoch: match[1], id: BigInt(match[2]) };
}
