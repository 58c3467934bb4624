import { encodeId } from '../core/id.ts';
import { isRecord, parseJson } from '../core/json.ts';
import type { Rendering } from '../live/delivery.ts';
import type { HeldWebhook, Progress } from './holding.ts';
import { RunProgress, type Ending } from './run-progress.ts';
import { signDelivery } from './signing-secret.ts';
import type { PostOutcome, WebhookClient } from './webhook-post.ts';
import { WebhookSink } from './webhook-sink.ts';

/**
 * The pauses before the next attempt, in ms: the first pause and the longest pause. The pause doubles with each
 * failure.
 */
export type RetryTimes = { first: number; most: number };
/** The pauses that are used in production. */
export const defaultRetryTimes: RetryTimes = { first: 1_000, most: 5 * 60_000 };

/** An open subscription of a webhook. */
export type KeptSubscription = { close: () => void; refresh: () => void };

/** The secret that signs deliveries, and the previous secret, which also signs them until a certain time. */
export type RunSecrets = { current: Buffer; former: { secret: Buffer; until: Date } | null };

/** What a run needs in order to deliver one webhook. */
export type RunOptions = {
  webhook: HeldWebhook;
  /** The secrets that sign the deliveries, or null if they cannot be read. */
  secrets: RunSecrets | null;
  client: WebhookClient;
  /**
   * Opens the webhook's subscription at its cursor. Results go to the sink. Rejects only if this server is at fault.
   */
  subscribe: (webhook: HeldWebhook, sink: WebhookSink) => Promise<KeptSubscription>;
  retryTimes: RetryTimes;
  /** Called when there is something to save. */
  onChange: () => void;
  onFault: (error: unknown) => void;
};

/** The content of one request (a "message" in Standard Webhooks): events, a notice, or a ping. */
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
   * Stops the run, and resolves once no request is in progress. A later run uses the webhook's settings at that time.
   */
  stop(): Promise<void> {
    this.#end({});
    return this.#done;
  }

  /** Stops immediately and cuts off the request in progress, because another node may be delivering the webhook now. */
  abandon(): void {
    this.#progress.abandon();
    this.#end({});
    this.#abort.abort();
  }

  /**
   * Moves an idle webhook's cursor to the current end of the log, so that the cursor is not lost when the log is
   * pruned.
   */
  refresh(): void {
    if (this.#isIdle) this.#subscription?.refresh();
  }

  /**
   * Returns the progress to save, or null if there is nothing new. Includes the end of the run once no request is in
   * progress.
   */
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
    // A receiver that asked for batches always gets a list, even for a single event.
    const body = this.#wantsBatches ? `[${payloads.join(',')}]` : payloads.join('');
    return this.#deliver({ id: notice === 'Reset' ? `reset_${cursor}` : cursor, cursor, body });
  }

  /**
   * Sends one request, and returns whether the receiver accepted it. If the receiver did not accept it, the run ends.
   */
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
   * Handles the end of the subscription. If the webhook's owner has lost the right to the subscription, the database
   * has already paused the webhook. A subscription that the server failed to maintain, or for which it had no capacity,
   * is retried.
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

  /**
   * Counts another consecutive failure, caused by either the receiver or this server, and ends the run until the next
   * attempt.
   */
  #retryLater(error: string): void {
    // The run may already have ended for another reason.
    if (this.isOver) return;
    this.#progress.countFailure();
    const retryMs = this.#nextRetryMs();
    this.#end({ ...(this.#progress.isFailing && { status: 'FAILING' }), error, retryMs });
  }

  /**
   * Returns a pause that grows with each failure. It is partly random, so that webhooks that failed together are not
   * retried together.
   */
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
