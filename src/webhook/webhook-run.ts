import { encodeId } from '../core/id.ts';
import { isRecord, parseJson } from '../core/json.ts';
import type { Rendering } from '../live/delivery.ts';
import type { HeldWebhook, Progress } from './holding.ts';
import { RunProgress, type Ending } from './run-progress.ts';
import { signDelivery } from './signing-secret.ts';
import type { PostOutcome, WebhookClient } from './webhook-post.ts';
import { WebhookSink } from './webhook-sink.ts';

/** The pauses before the next attempt, in ms: the first one, and the longest. Each failure doubles it. */
export type RetryTimes = { first: number; most: number };
/** The pauses in production. */
export const defaultRetryTimes: RetryTimes = { first: 1_000, most: 5 * 60_000 };

/** A running subscription of a webhook. */
export type KeptSubscription = { close: () => void; refresh: () => void };

/** The secret that signs, and the one before it, which also signs until a certain time. */
export type RunSecrets = { current: Buffer; former: { secret: Buffer; until: Date } | null };

/** What running one webhook needs. */
export type RunOptions = {
  webhook: HeldWebhook;
  /** The secrets that sign its deliveries; null if they cannot be read. */
  secrets: RunSecrets | null;
  client: WebhookClient;
  /**
   * Opens the webhook's subscription at its cursor; its results go to the sink. Rejects only for a fault of this
   * server.
   */
  subscribe: (webhook: HeldWebhook, sink: WebhookSink) => Promise<KeptSubscription>;
  retryTimes: RetryTimes;
  /** There is something to save soon. */
  onChange: () => void;
  onFault: (error: unknown) => void;
};

/** What one request carries (a "message" in Standard Webhooks): events, a notice, or a ping. */
type WebhookMessage = { id: string; cursor: string; body: string };

/**
 * Delivers one webhook on this node, until a delivery fails, the subscription ends, the webhook changes, or the node
 * releases it. Sends one request at a time, so the events arrive in order.
 */
export class WebhookRun {
  readonly #options: RunOptions;
  readonly #sink: WebhookSink;
  readonly #abort = new AbortController();
  #subscription: KeptSubscription | null = null;
  #ending: Ending | null = null;
  #wake: (() => void) | null = null;
  #wantsBatches = false;
  #isIdle = false;
  #isDone = false;
  #done: Promise<void> = Promise.resolve();
  readonly #progress: RunProgress;

  constructor(options: RunOptions) {
    this.#options = options;
    this.#progress = new RunProgress(options.webhook);
    const owner = {
      wake: () => this.#wake?.(),
      finish: (payload: string | null) => this.#finish(payload),
      interrupt: () => this.#end({}),
    };
    this.#sink = new WebhookSink(owner, { isTrusted: this.#progress.failures === 0 });
  }

  get webhook(): HeldWebhook {
    return this.#options.webhook;
  }

  get isOver(): boolean {
    return this.#ending !== null;
  }

  open(): void {
    this.#done = this.#work()
      .catch((error: unknown) => {
        this.#options.onFault(error);
        this.#retryLater('The server failed.');
      })
      .finally(() => {
        this.#isDone = true;
        this.#options.onChange();
      });
  }

  /**
   * Stops; resolves once no request is under way. A later run uses the webhook's current settings.
   */
  stop(): Promise<void> {
    this.#end({});
    return this.#done;
  }

  /** Stops at once, and cuts off the request that is under way: another node may deliver the webhook now. */
  abandon(): void {
    this.#progress.abandon();
    this.#end({});
    this.#abort.abort();
  }

  /** Moves an idle webhook's cursor to the log's current end, so that it stays in the log. */
  refresh(): void {
    if (this.#isIdle) this.#subscription?.refresh();
  }

  /** The progress to save; null if there is nothing new. It includes the run's ending once no request is under way. */
  takeProgress(): Progress | null {
    return this.#progress.take(this.#isDone ? this.#ending : null);
  }

  async #work(): Promise<void> {
    if (!this.#progress.isPinged) {
      if (!(await this.#deliver(pingOf(this.webhook)))) return;
      this.#progress.markPinged();
    }
    const subscription = await this.#options.subscribe(this.webhook, this.#sink);
    if (this.isOver) return subscription.close();
    this.#subscription = subscription;
    while (!this.isOver) {
      const renderings = this.#sink.take({ isBatch: this.#wantsBatches });
      if (renderings.length === 0) await this.#nextWork();
      else if (await this.#deliverAll(renderings)) this.#sink.accept();
    }
  }

  async #nextWork(): Promise<void> {
    this.#isIdle = true;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#wake = resolve;
    await promise;
    this.#wake = null;
    this.#isIdle = false;
  }

  async #deliverAll(renderings: readonly Rendering[]): Promise<boolean> {
    const last = renderings.at(-1);
    if (last === undefined) return true;
    const { cursor, notice } = last;
    if (notice === 'CaughtUp') {
      this.#progress.moveTo(cursor);
      return true;
    }
    const payloads = renderings.map(({ payload }) => payload);
    // A receiver that asked for batches gets a list, even of one event.
    const body = this.#wantsBatches ? `[${payloads.join(',')}]` : payloads.join('');
    return this.#deliver({ id: notice === 'Reset' ? `reset_${cursor}` : cursor, cursor, body });
  }

  /** Sends one request; returns whether it was accepted. If it was not, the run is over. */
  async #deliver({ id, cursor, body }: WebhookMessage): Promise<boolean> {
    const { client, secrets: known, webhook } = this.#options;
    const at = new Date();
    const secrets = secretsAt(known, at);
    if (secrets.length === 0) {
      this.#end({ status: 'PAUSED', error: 'The signing secret cannot be read with JWT_KEYS: rotate the secret.' });
      return false;
    }
    const headers = {
      'content-type': 'application/json',
      'user-agent': 'parley',
      ...signDelivery(secrets, { id, body, at }),
    };
    const outcome = await client.post(webhook.url, { headers, body, signal: this.#abort.signal });
    if (this.#abort.signal.aborted) return false;
    const { status, durationMs } = outcome;
    this.#progress.recordAttempt({ cursor, at, status, durationMs });
    if (!outcome.isAccepted) {
      this.#fail(outcome);
      return false;
    }
    this.#wantsBatches = outcome.wantsBatches;
    this.#progress.recordDelivery(cursor, at);
    return true;
  }

  #fail({ status, reason }: PostOutcome): void {
    const error = status === null ? reason : `The receiver answered ${reason}.`;
    if (status === 410) {
      this.#progress.countFailure();
      this.#end({ status: 'PAUSED', error });
    } else this.#retryLater(error);
  }

  /**
   * Handles the end of the subscription. The database has already paused a webhook whose owner has lost the right to
   * it. A subscription that the server failed to keep, or had no room for, is tried again.
   */
  #finish(payload: string | null): void {
    const result = payload === null ? null : parseJson(payload);
    const errors = isRecord(result) && Array.isArray(result['errors']) ? result['errors'] : [];
    const error: unknown = errors[0];
    if (!isRecord(error)) return this.#end({});
    const { message, extensions } = error;
    const code = isRecord(extensions) ? extensions['code'] : undefined;
    if (code === 'RATE_LIMITED' || code === 'INTERNAL') this.#retryLater(String(message));
    else this.#end({ status: 'PAUSED', error: `The subscription has ended: ${String(message)}` });
  }

  /** One more failure in a row, by the receiver or by this server: the webhook rests until its next attempt. */
  #retryLater(error: string): void {
    // The run may already have ended for another reason.
    if (this.isOver) return;
    this.#progress.countFailure();
    const retryMs = this.#nextRetryMs();
    this.#end({ ...(this.#progress.isFailing && { status: 'FAILING' }), error, retryMs });
  }

  /** Grows with each failure, and varies, so that webhooks that failed together are not retried together. */
  #nextRetryMs(): number {
    const { first, most } = this.#options.retryTimes;
    const pause = Math.min(most, first * 2 ** Math.max(0, this.#progress.failures - 1));
    return Math.round(pause * (0.5 + Math.random() / 2));
  }

  #end(ending: Ending): void {
    if (this.#ending !== null) return;
    this.#ending = ending;
    this.#sink.close();
    this.#subscription?.close();
    this.#wake?.();
  }
}

function secretsAt(secrets: RunSecrets | null, at: Date): Buffer[] {
  if (secrets === null) return [];
  const { current, former } = secrets;
  return former !== null && former.until > at ? [current, former.secret] : [current];
}

function pingOf({ id, version, cursor }: HeldWebhook): WebhookMessage {
  const webhookId = encodeId('Webhook', id);
  return { id: `ping_${webhookId}_${version}`, cursor, body: JSON.stringify({ ping: { webhookId } }) };
}
