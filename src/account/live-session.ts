import DataLoader from 'dataloader';
import { LRUCache } from 'lru-cache';
import type { Db } from '../postgres/client.ts';
import type { Asker } from '../core/asker.ts';

/** How long this process believes what the database said: other nodes hear of a session's end within a second. */
const maxBeliefMs = 500;
const maxSessions = 50_000;
/** Those in use are asked for along with another once their belief is this old: one statement for many. */
const staleMs = 250;
const maxAlong = 1_000;

/** A session that is not refreshed for this long is over, also before `pruneSessions` comes by. */
export const sessionLifetime = '30 days';

/** Whose session it was when the database was asked; null for one that has ended. */
type Belief = { owner: Promise<bigint | null>; askedAt: number };

/**
 * Which sessions live. Asks the database at most four times a second for each that is in use, for many together: with
 * 64 busy senders that is 4 statements a second, and was 128.
 */
export class LiveSessions {
  readonly #beliefs = new LRUCache<bigint, Belief>({ max: maxSessions });
  readonly #owners: DataLoader<bigint, bigint | null>;
  /** Those whose belief was of use since it was asked for. */
  #inUse = new Set<bigint>();

  constructor({ pool }: Db) {
    this.#owners = new DataLoader(
      async (ids) => {
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

  /** Whether the viewer's session has not been ended: as of 500 ms ago at most, and as of now where it ended here. */
  async isLive({ sessionId, userId }: Pick<Asker, 'sessionId' | 'userId'>): Promise<boolean> {
    const known = this.#beliefs.get(sessionId);
    const isFresh = known !== undefined && performance.now() - known.askedAt < maxBeliefMs;
    if (isFresh) this.#inUse.add(sessionId);
    return (await (isFresh ? known : this.#askAlong(sessionId)).owner) === userId;
  }

  /** The session has just been ended here: who asks from now on is told so. */
  forget(sessionId: bigint): void {
    this.#beliefs.delete(sessionId);
  }

  /** Asks for this one, and for those that would be asked for soon. */
  #askAlong(sessionId: bigint): Belief {
    const belief = this.#ask(sessionId);
    const isStale = (id: bigint) => (this.#beliefs.peek(id)?.askedAt ?? 0) <= belief.askedAt - staleMs;
    const stale: bigint[] = [];
    // They stand there in about the order in which they were asked for.
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
    // What could not be asked is not believed.
    belief.owner.catch(() => {
      if (this.#beliefs.peek(sessionId) === belief) this.#beliefs.delete(sessionId);
    });
    return belief;
  }
}
