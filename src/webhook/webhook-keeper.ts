import { randomUUID } from 'node:crypto';
import { noMetrics, type Metrics } from '../core/metric.ts';
import type { Report } from '../core/report.ts';
import type { Db } from '../postgres/client.ts';
import { LeaseLost, type Lease, type Leases } from '../postgres/lease.ts';
import {
  pauseExpired,
  readHeldVersions,
  resealSecret,
  saveProgress,
  takeDueWebhooks,
  type HeldWebhook,
  type Progress,
} from './holding.ts';
import type { SecretBox } from './signing-secret.ts';
import { WebhookClient } from './webhook-post.ts';
import { defaultRetryTimes, WebhookRun, type RetryTimes, type RunOptions, type RunSecrets } from './webhook-run.ts';

/**
 * In ms. `tick` is the interval at which this node saves cursors and takes due webhooks. `cursorRefresh` is the
 * interval at which the cursors of webhooks without events move to the end of the log. `answer` is how long a receiver
 * may take to answer. Tests shorten them. `ahead` returns how far the clock that schedules attempts is ahead of the
 * database's clock, which all nodes share. Tests use it to let hours pass.
 */
export type WebhookTimes = {
  tick: number;
  cursorRefresh: number;
  answer: number;
  retry: RetryTimes;
  ahead: () => number;
};

const defaultTimes: WebhookTimes = {
  tick: 1_000,
  cursorRefresh: 60_000,
  answer: 10_000,
  retry: defaultRetryTimes,
  ahead: () => 0,
};

/**
 * The maximum number of webhooks that a node takes at a time. Because of this limit, nodes that start at the same time
 * share the webhooks.
 */
const maxTaken = 50;
/** The minimum time between two ticks, in ms. */
const minGapMs = 50;
/** How long `close` waits for requests in progress, in ms. */
const closeMs = 3_000;

/** What this node needs in order to run its webhooks. */
export type WebhookKeeperOptions = {
  db: Pick<Db, 'pool'>;
  leases: Leases;
  report: Report;
  metrics?: Metrics;
  secretBox: SecretBox;
  allowsPrivate: boolean;
  /** Opens a webhook's subscription. */
  subscribe: RunOptions['subscribe'];
  /** Wakes the outbox, or is null if the server sends no mail. */
  ringMail: (() => void) | null;
  times?: Partial<WebhookTimes> | undefined;
};

/**
 * Delivers webhooks on this node. Every second, it saves the progress of its webhooks in one transaction, and then
 * takes the webhooks that are due and that no other live node delivers. A node keeps its webhooks as long as its lease
 * is valid. When the node dies, other nodes take over its webhooks within seconds, and continue from the last saved
 * cursors.
 */
export class WebhookKeeper {
  readonly #options: WebhookKeeperOptions;
  readonly #times: WebhookTimes;
  readonly #client: WebhookClient;
  readonly #runs = new Map<bigint, WebhookRun>();
  #unsaved: Progress[] = [];
  #lease: Lease | null = null;
  #refreshedAt = performance.now();
  #hasFailed = false;
  #isRung = false;
  #isClosed = false;
  #wake: (() => void) | null = null;
  #done: Promise<void> = Promise.resolve();

  constructor(options: WebhookKeeperOptions) {
    this.#options = options;
    this.#times = { ...defaultTimes, ...options.times };
    this.#client = new WebhookClient({
      allowsPrivate: options.allowsPrivate,
      maxMs: this.#times.answer,
      metrics: options.metrics ?? noMetrics,
    });
  }

  open(): void {
    this.#done = this.#work();
  }

  /**
   * Call this, in the order of the log, when a webhook has changed. From then on, nothing is delivered with its old
   * settings.
   */
  change(webhookId: bigint): void {
    void this.#runs.get(webhookId)?.stop();
    this.#ring();
  }

  /** Lets the requests in progress finish, and then hands the webhooks over to other nodes. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.#ring();
    await this.#done;
    const stopped = Promise.all([...this.#runs.values()].map((run) => run.stop()));
    let timeout: NodeJS.Timeout | undefined;
    const isInTime = await Promise.race([
      stopped.then(() => true),
      new Promise<boolean>((resolve) => (timeout = setTimeout(() => resolve(false), closeMs))),
    ]);
    clearTimeout(timeout);
    if (!isInTime) for (const run of this.#runs.values()) run.abandon();
    else if (this.#lease !== null) await this.#save(this.#lease).catch(() => undefined);
    this.#client.close();
    await this.#lease?.release();
  }

  readonly #ring = (): void => {
    this.#isRung = true;
    this.#wake?.();
  };

  async #work(): Promise<void> {
    while (!this.#isClosed) {
      this.#isRung = false;
      try {
        await this.#tick();
        this.#hasFailed = false;
      } catch (error) {
        if (!this.#hasFailed && !(error instanceof LeaseLost)) {
          this.#options.report('warn', 'webhooks cannot be saved; the server keeps trying', { error });
        }
        this.#hasFailed = true;
      }
      await this.#sleep();
    }
  }

  async #tick(): Promise<void> {
    const { db } = this.#options;
    const lease = await this.#holdLease();
    await this.#save(lease);
    await pauseExpired(db);
    await this.#dropChanged(lease);
    const due = { limit: maxTaken, aheadMs: this.#times.ahead() };
    for (const webhook of await takeDueWebhooks(db, lease.name, due)) this.#start(webhook);
    if (performance.now() - this.#refreshedAt < this.#times.cursorRefresh) return;
    this.#refreshedAt = performance.now();
    for (const run of this.#runs.values()) run.refresh();
  }

  /**
   * Returns this node's lease, or takes a new one if it has none. Each lease has a new name, so that webhooks held
   * under a lost lease are taken again.
   */
  async #holdLease(): Promise<Lease> {
    if (this.#lease?.signal.aborted === false) return this.#lease;
    const lease = await this.#options.leases.take({ name: `webhooks:${randomUUID()}` });
    if (lease === null) throw new LeaseLost('another process has the lease of a new name');
    lease.signal.addEventListener('abort', () => this.#abandonAll(), { once: true });
    this.#lease = lease;
    return lease;
  }

  /** Stops all runs without saving their progress, because other nodes may be delivering these webhooks now. */
  #abandonAll(): void {
    for (const run of this.#runs.values()) run.abandon();
    this.#runs.clear();
    this.#unsaved = [];
    this.#ring();
  }

  async #save(lease: Lease): Promise<void> {
    const { db, report, ringMail } = this.#options;
    for (const run of this.#runs.values()) {
      // If the last request of an ended run is still in progress, the end of the run is saved once that request has
      // finished.
      const progress = run.takeProgress();
      if (progress !== null) this.#unsaved.push(progress);
    }
    if (this.#unsaved.length === 0) return;
    const all = [...mergeProgress(this.#unsaved).values()];
    const saved = await saveProgress(db, lease, {
      ...{ all, sendsMail: ringMail !== null, aheadMs: this.#times.ahead() },
    });
    this.#unsaved = [];
    for (const progress of all) {
      if (progress.isReleased) this.#runs.delete(progress.id);
      else if (!saved.has(progress.id)) void this.#runs.get(progress.id)?.stop();
      if (!progress.isAlarming || !saved.has(progress.id)) continue;
      const { id, failures, lastError } = progress;
      report('warn', 'a webhook is failing; the server keeps trying', {
        webhookId: String(id),
        failures,
        reason: lastError,
      });
      ringMail?.();
    }
  }

  /**
   * Stops the delivery of webhooks that have been changed, paused or deleted, in case the log has not reported this
   * yet.
   */
  async #dropChanged(lease: Lease): Promise<void> {
    if (this.#runs.size === 0) return;
    const versions = await readHeldVersions(this.#options.db, lease.name);
    for (const [id, run] of this.#runs) if (versions.get(id) !== run.webhook.version) void run.stop();
  }

  #start(webhook: HeldWebhook): void {
    const { subscribe, report } = this.#options;
    const run = new WebhookRun({
      webhook,
      secrets: this.#openSecrets(webhook),
      client: this.#client,
      subscribe,
      retryTimes: this.#times.retry,
      onChange: this.#ring,
      onFault: (error) => report('error', 'a webhook failed', { webhookId: String(webhook.id), error }),
    });
    this.#runs.set(webhook.id, run);
    run.open();
  }

  /** Returns null if the key that encrypted the webhook's secret is gone. */
  #openSecrets({ id, secret, formerSecret, formerSecretUntil }: HeldWebhook): RunSecrets | null {
    const { secretBox, db, report } = this.#options;
    const current = secretBox.open(secret);
    if (current === null) return null;
    if (current.isOld) {
      resealSecret(db, { id, before: secret, after: secretBox.seal(current.secret) }).catch((error: unknown) =>
        report('warn', 'the secret of a webhook could not be encrypted again', { webhookId: String(id), error }),
      );
    }
    const former = formerSecret === null ? null : secretBox.open(formerSecret);
    return {
      current: current.secret,
      former: former === null ? null : { secret: former.secret, until: formerSecretUntil ?? new Date(0) },
    };
  }

  #sleep(): Promise<void> {
    return new Promise((resolve) => {
      const wake = () => {
        this.#wake = null;
        clearTimeout(timeout);
        // Wait a moment, so that runs that end together are saved together.
        if (this.#isClosed) resolve();
        else setTimeout(resolve, minGapMs);
      };
      const timeout = setTimeout(wake, this.#times.tick);
      this.#wake = wake;
      if (this.#isClosed || this.#isRung) wake();
    });
  }
}

/**
 * Combines all reports about a webhook into one: the reports that could not be saved before, and what has happened
 * since.
 */
function mergeProgress(all: readonly Progress[]): Map<bigint, Progress> {
  const merged = new Map<bigint, Progress>();
  for (const next of all) {
    const before = merged.get(next.id);
    merged.set(next.id, {
      ...next,
      deliveredAt: next.deliveredAt ?? before?.deliveredAt ?? null,
      lastError: next.lastError ?? before?.lastError ?? null,
      attempts: [...(before?.attempts ?? []), ...next.attempts].slice(-100),
    });
  }
  return merged;
}
