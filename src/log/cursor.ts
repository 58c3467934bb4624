/**
 * A place in one database's log: `epoch.id`, opaque to clients. The epoch names the history that the id belongs to, so
 * that after a restore or a fail-over an old cursor is known as such instead of meaning something else.
 */
export type Cursor = { epoch: string; id: bigint };

/** The text that clients keep. */
export function formatCursor({ epoch, id }: Cursor): string {
  return `${epoch}.${id}`;
}

/** Reads what a client sent back; null for what never was a cursor. */
export function parseCursor(text: string): Cursor | null {
  const match = /^([0-9a-f]{12})\.(0|[1-9][0-9]{0,18})$/.exec(text);
  return match?.[1] === undefined || match[2] === undefined ? null : { epoch: match[1], id: BigInt(match[2]) };
}
