import type { DeliveryAttempt, HeldWebhook, Progress } from './holding.ts';

/** After this many consecutive failures, the webhook is FAILING. */
const failuresToAlarm = 5;

/** The maximum number of attempts that are remembered between reports. */
const keptAttempts = 100;

/** Why a run has ended. `retryMs` is the time until the next attempt is due, in ms. */
export type Ending = { status?: 'PAUSED' | 'FAILING'; error?: string; retryMs?: number };

/** The unsaved progress of a webhook that this node delivers. */
export class RunProgress {
  readonly #webhook: HeldWebhook;
  #cursor: string;
  #isPinged: boolean;
  #deliveryCount: bigint;
  #failures: number;
  #deliveredAt: Date | null = null;
  #attempts: DeliveryAttempt[] = [];
  #hasNews = false;
  #isOver = false;

  constructor(webhook: HeldWebhook) {
    this.#webhook = webhook;
    const { cursor, isPinged, deliveryCount, failures } = webhook;
    this.#cursor = cursor;
    this.#isPinged = isPinged;
    this.#deliveryCount = deliveryCount;
    this.#failures = failures;
  }

  /** Whether the receiver has accepted the webhook's first message. */
  get isPinged(): boolean {
    return this.#isPinged;
  }

  /** The number of consecutive failed attempts. */
  get failures(): number {
    return this.#failures;
  }

  get isFailing(): boolean {
    return this.#failures >= failuresToAlarm;
  }

  markPinged(): void {
    this.#isPinged = true;
  }

  /** Records that everything up to this cursor is done. */
  moveTo(cursor: string): void {
    this.#cursor = cursor;
    this.#hasNews = true;
  }

  /** Records that an attempt has ended. Afterwards, `recordDelivery` or `countFailure` records the outcome. */
  recordAttempt(attempt: Pick<DeliveryAttempt, 'cursor' | 'at' | 'status' | 'durationMs'>): void {
    this.#deliveryCount += 1n;
    this.#attempts.push({ ...attempt, number: this.#deliveryCount, attempt: this.#failures + 1 });
    if (this.#attempts.length > keptAttempts) this.#attempts.shift();
  }

  recordDelivery(cursor: string, at: Date): void {
    this.#failures = 0;
    this.#deliveredAt = at;
    this.moveTo(cursor);
  }

  /** Counts another consecutive failure, whether the receiver or this server caused it. */
  countFailure(): void {
    this.#failures += 1;
  }

  /** Ensures that nothing more is saved, because another node may be delivering the webhook now. */
  abandon(): void {
    this.#isOver = true;
  }

  /**
   * Returns the progress to save, or null if there is nothing new. After a call with an `ending`, always returns null.
   */
  take(ending: Ending | null): Progress | null {
    if (this.#isOver || (!this.#hasNews && ending === null)) return null;
    const { id, version, status: before } = this.#webhook;
    const progress: Progress = {
      id,
      version,
      cursor: this.#cursor,
      isPinged: this.#isPinged,
      deliveryCount: this.#deliveryCount,
      failures: this.#failures,
      status: ending?.status ?? (this.#failures === 0 ? 'ACTIVE' : before),
      deliveredAt: this.#deliveredAt,
      lastError: ending?.error === undefined ? null : shorten(ending.error),
      retryMs: ending?.retryMs ?? null,
      attempts: this.#attempts,
      isReleased: ending !== null,
      isAlarming: ending?.status === 'FAILING' && this.#failures === failuresToAlarm,
    };
    this.#attempts = [];
    this.#hasNews = false;
    this.#isOver = ending !== null;
    return progress;
  }
}

/** An error message may quote the document or its variables, so the database stores at most 1,000 bytes of it. */
function shorten(message: string): string {
  return [...message.toWellFormed().replaceAll('\0', '')].slice(0, 250).join('');
}
