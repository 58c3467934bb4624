import { byteLengthOf, type Rendering } from '../../live/delivery.ts';

/** What a replay may bring before the client had better fetch anew; 0 is no limit. */
export type ReplayLimits = { maxEvents: number; maxBytes: number };

/** The replay can't be had: the client fetches anew. Its message is for the client. */
export class ResetNeeded extends Error {}

/** Counts what a replay brings, and stops one that is over its limits. */
export class ReplayBudget {
  readonly #limits: ReplayLimits;
  #events = 0;
  #bytes = 0;

  constructor(limits: ReplayLimits) {
    this.#limits = limits;
  }

  /** How many events it has brought. */
  get events(): number {
    return this.#events;
  }

  /** Another replay begins. */
  restart(): void {
    this.#events = 0;
    this.#bytes = 0;
  }

  /** Throws ResetNeeded, which says which limit it is, when these are too many. */
  take(renderings: readonly Rendering[]): void {
    const { maxEvents, maxBytes } = this.#limits;
    this.#events += renderings.length;
    if (maxEvents > 0 && this.#events > maxEvents) throw tooMuch('MAX_REPLAY_EVENTS', maxEvents);
    if (maxBytes === 0) return;
    for (const rendering of renderings) this.#bytes += byteLengthOf(rendering);
    if (this.#bytes > maxBytes) throw tooMuch('MAX_REPLAY_BYTES', maxBytes);
  }
}

function tooMuch(setting: string, limit: number): ResetNeeded {
  return new ResetNeeded(`More has happened since that cursor than is replayed: ${setting} is ${limit}.`);
}
