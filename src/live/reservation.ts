import type pg from 'pg';
import { createSecret } from '../core/secret.ts';
import { inTransaction } from '../postgres/client.ts';

/** An unopened reservation lives this long; an open one whose node says nothing for `nodeTimeout` is given up for lost. */
const lifetime = `interval '60 seconds'`;
const nodeTimeout = `interval '30 seconds'`;
/** Who counts as there: reserved a short while ago, or held open by a node that says so. */
const isThere = `case when node is null then created_at > now() - ${lifetime} else seen_at > now() - ${nodeTimeout} end`;

/** An operation that waits for its stream. Its parameters are sealed, as base64: the database is not to know them. */
export type WaitingOperation = {
  tokenHash: Buffer;
  operationId: string;
  params: string;
  afterCursor: string | null;
  userAgent: string | null;
};

/** What streams may take; 0 is no limit. */
export type ReservationLimits = { streamsPerSession: number; operationsPerStream: number; bufferBytes: number };

/** Why an operation can't be added. */
export type AddRefusal = 'UNKNOWN_STREAM' | 'ID_IN_USE' | 'TOO_MANY_OPERATIONS' | 'TOO_MANY_BYTES';

/**
 * The streams of single connection mode, as all nodes see them: reserved by one, opened on another, given operations by
 * a third. A stream's token is a secret, stored as its hash and valid only for the session that reserved it.
 */
export class Reservations {
  readonly #pool: pg.Pool;
  readonly #node: string;
  readonly #limits: ReservationLimits;

  /** `node` names this process among its equals. */
  constructor(pool: pg.Pool, node: string, limits: ReservationLimits) {
    this.#pool = pool;
    this.#node = node;
    this.#limits = limits;
  }

  /** Reserves a stream and returns its token; null when the session has as many as it may. */
  async reserve(sessionId: bigint): Promise<string | null> {
    const token = createSecret('streamReservation');
    return inTransaction({ pool: this.#pool }, async (client) => {
      // One after the other, or two at once would both take the last place.
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

  /** Whether the session has a stream of that token, and whether somebody holds it open. */
  async find(tokenHash: Buffer, sessionId: bigint): Promise<'RESERVED' | 'OPEN' | null> {
    const { rows } = await this.#pool.query<{ isOpen: boolean }>(
      `select node is not null as "isOpen" from stream_reservations
      where token_hash = $1 and session_id = $2 and ${isThere}`,
      [tokenHash, sessionId],
    );
    const row = rows[0];
    return row === undefined ? null : row.isOpen ? 'OPEN' : 'RESERVED';
  }

  /** This node holds the stream from now on. False when another request was first. */
  async open(tokenHash: Buffer, sessionId: bigint): Promise<boolean> {
    const { rowCount } = await this.#pool.query(
      `update stream_reservations set node = $3, seen_at = now()
      where token_hash = $1 and session_id = $2 and node is null and ${isThere}`,
      [tokenHash, sessionId, this.#node],
    );
    return rowCount === 1;
  }

  /** The stream is over, with all that it was given. */
  async close(tokenHash: Buffer): Promise<void> {
    await this.#pool.query('delete from stream_reservations where token_hash = $1 and node = $2', [
      tokenHash,
      this.#node,
    ]);
  }

  /** All streams of this node are over. */
  async closeAll(): Promise<void> {
    await this.#pool.query('delete from stream_reservations where node = $1', [this.#node]);
  }

  /** Takes the operation's id; it is run once it is `ready`. Returns what that one wants to know it by. */
  async add(operation: WaitingOperation, sessionId: bigint): Promise<AddRefusal | { version: string }> {
    const { operationsPerStream, bufferBytes } = this.#limits;
    // As base64 has it: four characters for three bytes.
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
   * The operation may run, and is to miss nothing after that cursor. False when it was taken back meanwhile, also where
   * another has its id by now: `version` is that of the row that was added.
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

  /** The operation is done, refused or taken back; its id is free again. */
  async remove(tokenHash: Buffer, operationId: string): Promise<void> {
    await this.#pool.query('delete from stream_operations where token_hash = $1 and operation_id = $2', [
      tokenHash,
      operationId,
    ]);
  }

  /** Those that wait for these streams; they count as running from now on. */
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

  /** The ids of what still runs on each of these streams, by the hash in hex; without those that are gone. */
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

  /** Tells the other nodes that these streams are held here, and sweeps away what nobody holds. */
  async beat(tokenHashes: readonly Buffer[]): Promise<void> {
    await this.#pool.query('update stream_reservations set seen_at = now() where token_hash = any ($1) and node = $2', [
      tokenHashes,
      this.#node,
    ]);
    await this.#pool.query(
      `delete from stream_reservations
      where case when node is null then created_at < now() - ${lifetime} else seen_at < now() - 2 * ${nodeTimeout} end`,
    );
  }
}
