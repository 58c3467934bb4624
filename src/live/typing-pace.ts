import { createLru } from '../core/lru.ts';
import type { Typing } from './notice.ts';
import type { TypingChannel } from './typing-channel.ts';

/** At most one notice per person and chat is shown in this time. */
const intervalMs = 3_000;
/**
 * A client that repeats its typing notice every 3 s sometimes sends a notice a little early. Such a notice is delayed
 * until it is due, because if it were dropped, the next notice would come only 6 s after the previous one.
 */
const maxEarlyMs = 500;
const maxRemembered = 100_000;

/**
 * Drops most of the typing notices that clients repeat, so that they do not reach the other nodes. Each node that
 * handles requests has its own gate.
 */
export class TypingGate {
  /** The channel through which notices reach the other nodes while Redis is available; null without Redis. */
  readonly channel: TypingChannel | null;
  readonly #recent = createLru<string, true>(maxRemembered, { ttlMs: intervalMs - maxEarlyMs });

  constructor(channel: TypingChannel | null) {
    this.channel = channel;
  }

  /**
   * Returns whether to pass this notice on to the nodes. If so, further notices from the same person in the same chat
   * are dropped for a while.
   */
  lets(typing: Typing): boolean {
    const key = keyOf(typing);
    if (this.#recent.has(key)) return false;
    this.#recent.set(key, true);
    return true;
  }

  /** Call this when the notice could not be passed on, so that it does not hold back the next one. */
  forget(typing: Typing): void {
    this.#recent.delete(keyOf(typing));
  }
}

/** Limits the rate of the typing notices that are shown. Each node that has streams applies the same limit. */
export class TypingPace {
  readonly #dueAt = createLru<string, number>(maxRemembered, { ttlMs: 2 * intervalMs });

  /**
   * Returns how many ms to wait before showing this notice; null if it would come too soon after the previous notice.
   */
  wait(typing: Typing): number | null {
    const key = keyOf(typing);
    const now = performance.now();
    const dueAt = Math.max(now, this.#dueAt.get(key) ?? now);
    if (dueAt - now > maxEarlyMs) return null;
    this.#dueAt.set(key, dueAt + intervalMs);
    return dueAt - now;
  }
}

function keyOf({ chatId, userId }: Typing): string {
  return `${chatId}.${userId}`;
}
