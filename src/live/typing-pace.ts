import { LRUCache } from 'lru-cache';
import type { Typing } from './notice.ts';

/** At most one in this time per person and chat. */
const intervalMs = 3_000;
/** Whoever repeats it every 3 s is a little early now and then: told when it is time, so that it isn't 6 s until the next. */
const maxEarlyMs = 500;
const maxRemembered = 100_000;

/** Spares the database most of what clients send. Each node that takes requests has its own. */
export class TypingGate {
  readonly #recent = new LRUCache<string, true>({ max: maxRemembered, ttl: intervalMs - maxEarlyMs });

  /** Whether this one is worth telling the nodes of; the next of the same person and chat isn't for a while. */
  lets(typing: Typing): boolean {
    const key = keyOf(typing);
    if (this.#recent.has(key)) return false;
    this.#recent.set(key, true);
    return true;
  }

  /** It was nothing that could be told, and holds nothing back. */
  forget(typing: Typing): void {
    this.#recent.delete(keyOf(typing));
  }
}

/** Holds what the nodes are told to its pace. Each node that has streams has its own, and so all nodes keep to it. */
export class TypingPace {
  readonly #dueAt = new LRUCache<string, number>({ max: maxRemembered, ttl: 2 * intervalMs });

  /** In how many ms this one is to be shown; null when another has been shown, or is going to be, too shortly before. */
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
