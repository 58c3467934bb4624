import { createLru } from '../core/lru.ts';
import DataLoader from 'dataloader';
import type { Db } from '../postgres/client.ts';
import type { Asker } from '../core/asker.ts';

/**
 * How long a node caches an answer of the database. This node therefore rejects a session within a second after it has
 * ended on another node.
 */
const maxBeliefMs = 500;
const maxSessions = 50_000;
/**
 * When the cached answer for one session expires, a single statement reads that session and all sessions in use whose
 * answers are at least this old.
 */
const staleMs = 250;
const maxAlong = 1_000;

/**
 * A session that is not refreshed for this long has ended, even if `pruneSessions` has not deleted it yet. A session
 * that tokens of another system keep alive ends when the newest of these tokens expires; the next token revives it.
 */
export const sessionLifetimeMs = 30 * 24 * 60 * 60_000;
/** The same duration, as a PostgreSQL interval. */
export const sessionLifetime = `${sessionLifetimeMs} milliseconds`;

/**
 * Returns an SQL condition: whether the row of `sessions` with that alias is a live session. `lifetime`: the
 * statement's parameter that contains `sessionLifetime`.
 */
export function isLiveSession(session: string, lifetime: string): string {
  return `(${session}.last_used_at > now() - ${lifetime}::interval
    and (${session}.expires_at is null or ${session}.expires_at > now()))`;
}

/** How long a stream token stays valid after its session's last refresh. */
const streamTokenLifetime = '1 day';

/** `streamTokenGeneration`: the generation of the valid stream tokens; null if the last refresh was too long ago. */
type LiveSession = { id: bigint; userId: bigint; streamTokenGeneration: number | null };

/** The session as the database last returned it; null if it had ended. */
type Belief = { session: Promise<LiveSession | null>; askedAt: number };

/**
 * Determines which sessions are live. Queries the database at most four times a second for each session in use, and
 * reads many sessions in one statement, so 64 busy senders cause 4 statements a second instead of 128.
 */
export class LiveSessions {
  readonly #beliefs = createLru<bigint, Belief>(maxSessions);
  readonly #sessions: DataLoader<bigint, LiveSession | null>;
  /** The sessions whose cached answer has been used since it was read. */
  #inUse = new Set<bigint>();

  constructor({ pool }: Db) {
    this.#sessions = new DataLoader(
      async (ids) => {
        // Reads which of the sessions are live, and whose sessions they are. Raw SQL, because this runs several times a
        // second on a busy node.
        const { rows } = await pool.query<LiveSession>(
          `select id, user_id as "userId",
            case when last_used_at > now() - $3::interval then stream_token_generation end as "streamTokenGeneration"
          from sessions s where id = any ($1) and ${isLiveSession('s', '$2')}`,
          [ids, sessionLifetime, streamTokenLifetime],
        );
        const found = new Map(rows.map((row) => [row.id, row]));
        return ids.map((id) => found.get(id) ?? null);
      },
      { cache: false, maxBatchSize: 1_000 },
    );
  }

  /**
   * Returns whether the asker's session is live. The answer is at most 500 ms old, and always up to date if this node
   * ended the session.
   */
  async isLive({ sessionId, userId }: Pick<Asker, 'sessionId' | 'userId'>): Promise<boolean> {
    return (await this.#find(sessionId))?.userId === userId;
  }

  /**
   * Returns whether stream tokens of this generation are valid, that is, whether the session is live and was refreshed
   * in the last day.
   */
  async takesStreamToken(
    { sessionId, userId }: Pick<Asker, 'sessionId' | 'userId'>,
    generation: number,
  ): Promise<boolean> {
    const session = await this.#find(sessionId);
    return session?.userId === userId && session.streamTokenGeneration === generation;
  }

  /** Call this when this node has changed or ended the session, so that the next check queries the database. */
  forget(sessionId: bigint): void {
    this.#beliefs.delete(sessionId);
  }

  #find(sessionId: bigint): Promise<LiveSession | null> {
    const known = this.#beliefs.get(sessionId);
    const isFresh = known !== undefined && performance.now() - known.askedAt < maxBeliefMs;
    if (isFresh) this.#inUse.add(sessionId);
    return (isFresh ? known : this.#askAlong(sessionId)).session;
  }

  /** Reads this session, and the sessions whose cached answer expires soon. */
  #askAlong(sessionId: bigint): Belief {
    const belief = this.#ask(sessionId);
    const isStale = (id: bigint) => (this.#beliefs.peek(id)?.askedAt ?? 0) <= belief.askedAt - staleMs;
    const stale: bigint[] = [];
    // The set is roughly sorted by when the answers were read, oldest first.
    for (const id of this.#inUse) {
      if (!isStale(id) || stale.length === maxAlong) break;
      stale.push(id);
    }
    for (const id of stale) this.#ask(id);
    return belief;
  }

  #ask(sessionId: bigint): Belief {
    const belief: Belief = { askedAt: performance.now(), session: this.#sessions.load(sessionId) };
    this.#beliefs.set(sessionId, belief);
    this.#inUse.delete(sessionId);
    // A failed read is not cached.
    belief.session.catch(() => {
      if (this.#beliefs.peek(sessionId) === belief) this.#beliefs.delete(sessionId);
    });
    return belief;
  }
}
