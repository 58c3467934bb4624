import DataLoader from 'dataloader';
import { LRUCache } from 'lru-cache';
import type { Db } from '../postgres/client.ts';
import type { Asker } from '../core/asker.ts';

/** How long a node caches what the database answered: a session that ends elsewhere is rejected here within a second. */
const maxBeliefMs = 500;
const maxSessions = 50_000;
/** Sessions in use whose answer is this old are read together with the next one that expires: one statement for many. */
const staleMs = 250;
const maxAlong = 1_000;

/** A session that is not refreshed for this long is over, even before `pruneSessions` deletes it. */
export const sessionLifetimeMs = 30 * 24 * 60 * 60_000;
/** The same as an interval of PostgreSQL. */
export const sessionLifetime = `${sessionLifetimeMs} milliseconds`;

/** The session's user when the database was asked; null for a session that has ended. */
type Belief = { owner: Promise<bigint | null>; askedAt: number };

/**
 * Tells which sessions are live. Asks the database at most four times a second for each session in use, and for many
 * sessions in one statement: for 64 busy senders that is 4 statements a second instead of 128.
 */
export class LiveSessions {
  readonly #beliefs = new LRUCache<bigint, Belief>({ max: maxSessions });
  readonly #owners: DataLoader<bigint, bigint | null>;
  /** The sessions whose cached answer has been used since it was read. */
  #inUse = new Set<bigint>();

  constructor({ pool }: Db) {
    this.#owners = new DataLoader(
      async (ids) => {
        // Which of the sessions are live, and whose they are. As SQL: it runs up to four times a second on each node.
        const { rows } = await pool.query<{ id: bigint; user_id: bigint }>(
          `select id, user_id from sessions where id = any ($1) and last_used_at > now() - $2::interval`,
          [ids, sessionLifetime],
        );
        const owners = new Map(rows.map((row) => [row.id, row.user_id]));
        return ids.map((id) => owners.get(id) ?? null);
      },
      { cache: false, maxBatchSize: 1_000 },
    );
  }

  /** Whether the asker's session is live: as of at most 500 ms ago, and as of now if this node ended it. */
  async isLive({ sessionId, userId }: Pick<Asker, 'sessionId' | 'userId'>): Promise<boolean> {
    const known = this.#beliefs.get(sessionId);
    const isFresh = known !== undefined && performance.now() - known.askedAt < maxBeliefMs;
    if (isFresh) this.#inUse.add(sessionId);
    return (await (isFresh ? known : this.#askAlong(sessionId)).owner) === userId;
  }

  /** Rejects the session from now on. For the node that has just ended it. */
  forget(sessionId: bigint): void {
    this.#beliefs.delete(sessionId);
  }

  /** Reads this session, and the sessions whose cached answer expires soon. */
  #askAlong(sessionId: bigint): Belief {
    const belief = this.#ask(sessionId);
    const isStale = (id: bigint) => (this.#beliefs.peek(id)?.askedAt ?? 0) <= belief.askedAt - staleMs;
    const stale: bigint[] = [];
    // The set is roughly in the order in which the answers were read.
    for (const id of this.#inUse) {
      if (!isStale(id) || stale.length === maxAlong) break;
      stale.push(id);
    }
    for (const id of stale) this.#ask(id);
    return belief;
  }

  #ask(sessionId: bigint): Belief {
    const belief: Belief = { askedAt: performance.now(), owner: this.#owners.load(sessionId) };
    this.#beliefs.set(sessionId, belief);
    this.#inUse.delete(sessionId);
    // A failed read is not cached.
    belief.owner.catch(() => {
      if (this.#beliefs.peek(sessionId) === belief) this.#beliefs.delete(sessionId);
    });
    return belief;
  }
}
