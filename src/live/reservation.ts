import type pg from 'pg';
import { createSecret } from '../core/secret.ts';
import { inTransaction } from '../postgres/client.ts';

/** How long a reservation lasts if its stream is not opened. */
const lifetime = `interval '60 seconds'`;
/**
 * Which streams count as existing: those that were reserved recently, and those that a node with a valid lease holds
 * open.
 */
const isThere = `case when node is null then created_at > now() - ${lifetime}
  else exists (select from leases where leases.name = node and leases.until > clock_timestamp()) end`;

/**
 * An operation that is waiting for its stream. The operation's parameters are encrypted and stored as base64, so that
 * the database cannot read them.
 */
export type WaitingOperation = {
  tokenHash: Buffer;
  operationId: string;
  params: string;
  afterCursor: string | null;
  userAgent: string | null;
};

/** The limits for streams; 0 turns a limit off. */
export type ReservationLimits = { streamsPerSession: number; operationsPerStream: number; bufferBytes: number };

/** Why an operation was not added. */
export type AddRefusal = 'UNKNOWN_STREAM' | 'ID_IN_USE' | 'TOO_MANY_OPERATIONS' | 'TOO_MANY_BYTES';

/**
 * The streams of single connection mode, as all nodes see them: one node reserves a stream, another node may open it,
 * and a third node may add operations. The token of a stream is a secret, which is stored as a hash and is valid only
 * for the session that reserved the stream.
 */
export class Reservations {
  readonly #pool: pg.Pool;
  readonly #node: string;
  readonly #limits: ReservationLimits;

  /** `node` is the name of this node's lease. */
  constructor(pool: pg.Pool, node: string, limits: ReservationLimits) {
    this.#pool = pool;
    this.#node = node;
    this.#limits = limits;
  }

  /** Reserves a stream and returns its token; returns null when the session has reached its limit. */
  async reserve(sessionId: bigint): Promise<string | null> {
    const token = createSecret('streamReservation');
    return inTransaction({ pool: this.#pool }, async (client) => {
      // Locks the session, because otherwise two concurrent requests could both take the last free slot.
      await client.query('select from sessions where id = $1 for no key update', [sessionId]);
      const { rowCount } = await client.query(
        `insert into stream_reservations (token_hash, session_id)
        select $1::bytea, $2::bigint
        where $3::int = 0 or (select count(*) from stream_reservations where session_id = $2 and ${isThere}) < $3`,
        [token.hash, sessionId, this.#limits.streamsPerSession],
      );
      return rowCount === 1 ? token.secret : null;
    });
  }

  /** Returns whether the session has a stream with that token, and whether a node holds it open. */
  async find(tokenHash: Buffer, sessionId: bigint): Promise<'RESERVED' | 'OPEN' | null> {
    const { rows } = await this.#pool.query<{ isOpen: boolean }>(
      `select node is not null as "isOpen" from stream_reservations
      where token_hash = $1 and session_id = $2 and ${isThere}`,
      [tokenHash, sessionId],
    );
    const row = rows[0];
    return row === undefined ? null : row.isOpen ? 'OPEN' : 'RESERVED';
  }

  /** Makes this node the holder of the stream. Returns false if another request has already opened the stream. */
  async open(tokenHash: Buffer, sessionId: bigint): Promise<boolean> {
    const { rowCount } = await this.#pool.query(
      `update stream_reservations set node = $3
      where token_hash = $1 and session_id = $2 and node is null and ${isThere}`,
      [tokenHash, sessionId, this.#node],
    );
    return rowCount === 1;
  }

  /** Removes the stream with all its operations, if this node holds it. */
  async close(tokenHash: Buffer): Promise<void> {
    await this.#pool.query('delete from stream_reservations where token_hash = $1 and node = $2', [
      tokenHash,
      this.#node,
    ]);
  }

  /** Removes all streams that this node holds. */
  async closeAll(): Promise<void> {
    await this.#pool.query('delete from stream_reservations where node = $1', [this.#node]);
  }

  /**
   * Reserves the operation's id; the operation runs only after `ready`. Returns the `version` that `ready` requires, or
   * the reason why the operation was not added.
   */
  async add(operation: WaitingOperation, sessionId: bigint): Promise<AddRefusal | { version: string }> {
    const { operationsPerStream, bufferBytes } = this.#limits;
    // Base64 uses four characters for three bytes.
    const maxLength = Math.ceil((bufferBytes * 4) / 3);
    const { rows } = await inTransaction({ pool: this.#pool }, async (client) => {
      await client.query('select from stream_reservations where token_hash = $1 for no key update', [
        operation.tokenHash,
      ]);
      return client.query<{ version: string | null; count: number; length: number }>(
        `with stream as (
        select token_hash from stream_reservations
        where token_hash = $1 and session_id = $2 and ${isThere}
      ), held as (
        select count(*)::int as count, coalesce(sum(octet_length(params #>> '{}')), 0)::int as length
        from stream_operations where token_hash = $1
      ), added as (
        insert into stream_operations (token_hash, operation_id, params, user_agent)
        select token_hash, $3, to_jsonb($4::text), $5 from stream, held
        where ($6::int = 0 or held.count < $6) and ($7::int = 0 or held.length + octet_length($4::text) <= $7)
        on conflict do nothing
        returning xmin::text as version
      )
      select (select version from added), held.count, held.length from stream, held`,
        [
          operation.tokenHash,
          sessionId,
          operation.operationId,
          operation.params,
          operation.userAgent,
          operationsPerStream,
          maxLength,
        ],
      );
    });
    const row = rows[0];
    if (row === undefined) return 'UNKNOWN_STREAM';
    if (row.version !== null) return { version: row.version };
    if (operationsPerStream > 0 && row.count >= operationsPerStream) return 'TOO_MANY_OPERATIONS';
    return maxLength > 0 && row.length + operation.params.length > maxLength ? 'TOO_MANY_BYTES' : 'ID_IN_USE';
  }

  /**
   * Lets the operation run; it will not miss any event after that cursor. Returns false if the operation was cancelled
   * in the meantime, even if another operation now uses its id: `version` identifies the row that `add` inserted.
   */
  async ready(
    { tokenHash, operationId, version }: { tokenHash: Buffer; operationId: string; version: string },
    afterCursor: string,
  ): Promise<boolean> {
    const { rowCount } = await this.#pool.query(
      `update stream_operations set state = 'WAITING', after_cursor = $4
      where token_hash = $1 and operation_id = $2 and xmin::text = $3`,
      [tokenHash, operationId, version, afterCursor],
    );
    return rowCount === 1;
  }

  /** Removes an operation that has ended or was refused or cancelled, which frees its id. */
  async remove(tokenHash: Buffer, operationId: string): Promise<void> {
    await this.#pool.query('delete from stream_operations where token_hash = $1 and operation_id = $2', [
      tokenHash,
      operationId,
    ]);
  }

  /** Takes the operations that are waiting for these streams; from then on, they count as running. */
  async take(tokenHashes: readonly Buffer[]): Promise<WaitingOperation[]> {
    const { rows } = await this.#pool.query<WaitingOperation>(
      `update stream_operations set state = 'RUNNING'
      where token_hash = any ($1) and state = 'WAITING'
      returning token_hash as "tokenHash", operation_id as "operationId", params #>> '{}' as params,
        after_cursor as "afterCursor", user_agent as "userAgent"`,
      [tokenHashes],
    );
    return rows;
  }

  /**
   * Returns the ids of the operations that are still running on each of these streams, keyed by the hash of the
   * stream's token in hex. Leaves out streams that no longer exist.
   */
  async listRunning(tokenHashes: readonly Buffer[]): Promise<Map<string, Set<string>>> {
    const { rows } = await this.#pool.query<{ key: string; operationIds: string[] }>(
      `select encode(r.token_hash, 'hex') as key, array(
        select operation_id from stream_operations o where o.token_hash = r.token_hash and o.state = 'RUNNING'
      ) as "operationIds"
      from stream_reservations r where r.token_hash = any ($1)`,
      [tokenHashes],
    );
    return new Map(rows.map(({ key, operationIds }) => [key, new Set(operationIds)]));
  }
}

/** Deletes up to `limit` reservations that no client opened in time, and returns how many it deleted. */
export async function pruneReservations(pool: pg.Pool, limit: number): Promise<number> {
  const { rowCount } = await pool.query(
    `delete from stream_reservations where token_hash in (
      select token_hash from stream_reservations where node is null and created_at < now() - ${lifetime} limit $1
    ) and node is null`,
    [limit],
  );
  return rowCount ?? 0;
}
