import { bytesOf, type Batch } from '../../live/delivery.ts';

/**
 * The maximum size of a replay. If a replay would be larger, the client should fetch its data again. 0 means no limit.
 */
export type ReplayLimits = { maxEvents: number; maxBytes: number };

/** The replay is not possible, so the client must fetch its data again. The message is for the client. */
export class ResetNeeded extends Error {}

/** Counts what a replay sends, and stops a replay that exceeds its limits. */
export class ReplayBudget {
  readonly #limits: ReplayLimits;
  #events = 0;
  #bytes = 0;

  constructor(limits: ReplayLimits) {
    this.#limits = limits;
  }

  /** How many events the replay has sent. */
  get events(): number {
    return this.#events;
  }

  /** Starts counting from zero, for another replay. */
  restart(): void {
    this.#events = 0;
    this.#bytes = 0;
  }

  /** Counts a batch. Throws a ResetNeeded that names the limit if the replay is too large. */
  take(batch: Batch): void {
    const { maxEvents, maxBytes } = this.#limits;
    this.#events += batch.renderings.length;
    if (maxEvents > 0 && this.#events > maxEvents) throw tooMuch('MAX_REPLAY_EVENTS', maxEvents);
    if (maxBytes === 0) return;
    this.#bytes += bytesOf(batch);
    if (this.#bytes > maxBytes) throw tooMuch('MAX_REPLAY_BYTES', maxBytes);
  }
}

function tooMuch(setting: string, limit: number): ResetNeeded {
  return new ResetNeeded(`Too much has happened since that cursor to replay: ${setting} is ${limit}.`);
}
