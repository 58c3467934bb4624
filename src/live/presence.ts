import type pg from 'pg';
import type { Report } from '../core/report.ts';
import type { Circles } from './acquaintance.ts';
import type { Hub } from './hub.ts';
import type { Outlet, Listener } from './listener.ts';
import type { Presence, PresenceChange } from './notice.ts';
import { addTo } from './room.ts';

/** Past so many of a chat's people on this node, they are not told of each other's coming and going: they ask. */
export const maxPresenceAudience = 200;
/** Of somebody in very many chats, as many are looked through as have so many people here, the smallest first. */
const maxLookedAt = 2_000;
/** And no more than so many are looked for. */
const maxChats = 1_000;
/** Of how many people those who are here are told at once. */
const maxBatch = 200;

/** Somebody who wants to hear nothing from somebody, and to tell them nothing. */
export type Block = { blockerId: bigint; blockedId: bigint };

/** Reads what `settle_presences` notifies the nodes of; what doesn't look like it is passed over. */
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

/** What it takes to tell of changes: who is here, and what to look up of whom they are about. */
export type PresenceSource = {
  hub: Hub;
  readCircles: (userIds: readonly bigint[], maxChats: number) => Promise<Circles>;
  readBlocks: (blockerIds: readonly bigint[], blockedIds: readonly bigint[]) => Promise<Block[]>;
  /** Whether all of the log that had rung by now has passed the hub; false when that could not be brought about. */
  whenRead: () => Promise<boolean>;
  /** The last event that has passed; null while that is not known: then no one is told that they have caught up. */
  position: () => bigint | null;
  report: Report;
};

/**
 * Tells those who are here, ask for it and share a chat with somebody that they came or went, in the log's own time: who
 * was added just before is told, who was removed is not. One batch after the other, each in two statements, however
 * quickly changes come; of several changes of one person the last is told. What can't be told is not kept: then those who
 * ask for it are told where the log is (CaughtUp), and look again.
 */
export class PresenceNews {
  readonly #source: PresenceSource;
  readonly #waiting = new Map<bigint, PresenceChange>();
  #isTelling = false;

  constructor(source: PresenceSource) {
    this.#source = source;
  }

  hear(changes: readonly PresenceChange[]): void {
    for (const change of changes) {
      this.#waiting.delete(change.userId);
      this.#waiting.set(change.userId, change);
    }
    if (!this.#isTelling) void this.#tellAll();
  }

  /** Something may have passed unheard: whoever asks who comes and goes is told to look again. */
  refresh(): void {
    const { hub } = this.#source;
    const position = this.#source.position();
    // The feed asks for it again once it knows.
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

  async #tell(changes: readonly PresenceChange[]): Promise<void> {
    const { hub, ...source } = this.#source;
    if (hub.watchers().length === 0) return;
    if (!(await source.whenRead())) throw new Error('the log could not be read');
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
 * Through `circles`, the chats of whom it is about; but not to those whom these have blocked. Whoever has come since
 * `watchers` were looked at sees by themselves how it is.
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

/** Whom of these people those have blocked. */
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
