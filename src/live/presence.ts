import type pg from 'pg';
import type { Report } from '../core/report.ts';
import type { Circles } from './acquaintance.ts';
import type { Hub } from './hub.ts';
import type { Outlet, Listener } from './listener.ts';
import type { Presence, PresenceChange } from './notice.ts';
import { addTo } from './room.ts';

/**
 * The maximum number of people in one chat on this node who receive presence changes through the chat. If there are
 * more, none of them receive these changes, and clients query presence instead.
 */
export const maxPresenceAudience = 200;
/**
 * The maximum number of people who are considered as receivers of one presence change, starting with the smallest
 * chats.
 */
const maxLookedAt = 2_000;
/** The maximum number of chats that are looked up for one person. */
const maxChats = 1_000;
/** The maximum number of people whose changes are sent in one batch. */
const maxBatch = 200;

/** A block, which makes the blocker always appear offline to the blocked user. */
export type Block = { blockerId: bigint; blockedId: bigint };

/** Parses the notification that `settle_presences` sends, and skips anything it does not recognise. */
export function readPresenceChanges(payload: string): PresenceChange[] {
  return payload.split(',').flatMap((change) => {
    const match = /^(\d{1,19})\.(?:(ONLINE|AWAY)|OFFLINE\.(\d{1,16}))$/.exec(change);
    if (match?.[1] === undefined) return [];
    const here = match[2] === 'ONLINE' || match[2] === 'AWAY' ? match[2] : null;
    const presence: Presence =
      here === null
        ? { status: 'OFFLINE', lastSeenAt: new Date(Number(match[3])) }
        : { status: here, lastSeenAt: null };
    return [{ userId: BigInt(match[1]), presence }];
  });
}

/**
 * The dependencies for sending presence changes: the hub, which knows who is on this node, and lookups about the people
 * whose presence changed.
 */
export type PresenceSource = {
  hub: Hub;
  readCircles: (userIds: readonly bigint[], maxChats: number) => Promise<Circles>;
  readBlocks: (blockerIds: readonly bigint[], blockedIds: readonly bigint[]) => Promise<Block[]>;
  /**
   * Resolves to true once the hub has passed every event announced so far, or to false if the events could not be read.
   */
  whenRead: () => Promise<boolean>;
  /**
   * The id of the last event that has passed through the hub; null while this node does not know whether there are
   * later events. No subscriber receives CaughtUp in that state.
   */
  position: () => bigint | null;
  report: Report;
};

/**
 * Sends presence changes to the streams on this node that select them: the streams of the person whose presence
 * changed, and those of everyone who shares a chat with that person. Follows the order of the log, so a member who was
 * just added receives the changes, and a member who was just removed does not. Sends one batch after another, with two
 * statements for each batch, no matter how fast changes arrive. If several changes of one person are waiting, sends
 * only the last one. Does not store changes that cannot be sent. Instead, the streams that select them receive
 * CaughtUp, and their clients query presence again.
 */
export class PresenceNews {
  readonly #source: PresenceSource;
  readonly #waiting = new Map<bigint, PresenceChange & { isPassed: boolean }>();
  #isTelling = false;

  constructor(source: PresenceSource) {
    this.#source = source;
  }

  /** `isPassed`: whether the hub has already passed every event that precedes these changes. */
  hear(changes: readonly PresenceChange[], { isPassed = false } = {}): void {
    for (const change of changes) {
      this.#waiting.delete(change.userId);
      this.#waiting.set(change.userId, { ...change, isPassed });
    }
    if (!this.#isTelling) void this.#tellAll();
  }

  /**
   * Call this when changes may have been lost. Every stream that selects presence changes then receives CaughtUp, and
   * its client queries presence again.
   */
  refresh(): void {
    const { hub } = this.#source;
    const position = this.#source.position();
    // The feed calls this again once the position is known.
    if (position === null) return;
    const audience = new Map<Outlet, Listener[]>();
    for (const listener of hub.watchers()) addTo(audience, listener);
    for (const [outlet, listeners] of audience) outlet.refresh(listeners, position);
  }

  async #tellAll(): Promise<void> {
    const { report } = this.#source;
    this.#isTelling = true;
    while (this.#waiting.size > 0) {
      const batch = [...this.#waiting.values()].slice(0, maxBatch);
      for (const { userId } of batch) this.#waiting.delete(userId);
      try {
        await this.#tell(batch);
      } catch (error) {
        report('warn', 'presence changes could not be sent', { error });
        this.refresh();
      }
    }
    this.#isTelling = false;
  }

  async #tell(waiting: readonly (PresenceChange & { isPassed: boolean })[]): Promise<void> {
    const { hub, ...source } = this.#source;
    if (hub.watchers().length === 0) return;
    const isPassed = waiting.every((change) => change.isPassed) || (await source.whenRead());
    if (!isPassed) throw new Error('the log could not be read');
    const changes = waiting.map(({ userId, presence }) => ({ userId, presence }));
    const watchers = hub.watchers().map(({ userId }) => userId);
    const about = changes.map(({ userId }) => userId);
    const [circles, blocks] = await Promise.all([
      source.readCircles(about, maxChats),
      source.readBlocks(about, watchers),
    ]);
    publishPresences(hub, changes, { circles, blocks, watchers });
  }
}

/**
 * Sends each change to the members of the person's chats (`circles`), except to people that the person has blocked.
 * People who connected after `watchers` was read see the current state anyway.
 */
export function publishPresences(
  hub: Hub,
  changes: readonly PresenceChange[],
  known: { circles: Circles; blocks: readonly Block[]; watchers: readonly bigint[] },
): void {
  const watchers = new Set(known.watchers);
  const blocked = new Set(known.blocks.map(({ blockerId, blockedId }) => `${blockerId} ${blockedId}`));
  for (const change of changes) {
    const chatIds = known.circles.get(change.userId) ?? [];
    const limits = { perRoom: maxPresenceAudience, total: maxLookedAt };
    for (const [outlet, listeners] of hub.watchersAround(change.userId, chatIds, limits)) {
      const told = listeners.filter(({ userId }) => watchers.has(userId) && !blocked.has(`${change.userId} ${userId}`));
      if (told.length > 0) outlet.publishPresence(change, told);
    }
  }
}

/** Returns the pairs in which one of `blockerIds` has blocked one of `blockedIds`. */
export async function readBlocks(
  pool: pg.Pool,
  blockerIds: readonly bigint[],
  blockedIds: readonly bigint[],
): Promise<Block[]> {
  const { rows } = await pool.query<Block>({
    name: 'blocks_among',
    text: `select blocker_id as "blockerId", blocked_id as "blockedId" from blocks
    where blocker_id = any ($1) and blocked_id = any ($2)`,
    values: [blockerIds, blockedIds],
  });
  return rows;
}
