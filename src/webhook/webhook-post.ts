import { parseRanges } from '../core/address-range.ts';
import { EgressFailed } from '../core/egress.ts';
import { KeptEgress } from '../core/kept-egress.ts';
import { noMetrics, type Metrics } from '../core/metric.ts';

/** How long a receiver may take to answer, in ms. */
const answerMs = 10_000;

/** Private networks, this machine, and its neighbours on the link. */
const privateRanges = parseRanges(
  '127.0.0.0/8, 10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16, 169.254.0.0/16, 100.64.0.0/10, ::1, fc00::/7, fe80::/10',
);

/** There are at most as many webhooks as connections, so that a slow receiver does not delay others. */
export const maxConnections = 500;

/**
 * The outcome of a request. `status` is null if there was no answer. `reason` says why the request failed, without the
 * URL.
 */
export type PostOutcome = {
  status: number | null;
  isAccepted: boolean;
  reason: string;
  durationMs: number;
  /** Whether the receiver asks to get several events per request from now on. */
  wantsBatches: boolean;
};

/** A request to a receiver. */
export type WebhookRequest = { headers: Record<string, string>; body: string; signal: AbortSignal };

/** Sends requests to receivers. */
export class WebhookClient {
  readonly #egress: KeptEgress;
  readonly #maxMs: number;
  readonly #metrics: Metrics;

  /**
   * With `allowsPrivate`, receivers may be on private networks and on this machine, where they do not need https.
   * `maxMs` is how long to wait for an answer.
   */
  constructor({
    allowsPrivate,
    maxMs = answerMs,
    metrics = noMetrics,
  }: {
    allowsPrivate: boolean;
    maxMs?: number | undefined;
    metrics?: Metrics;
  }) {
    this.#maxMs = maxMs;
    this.#metrics = metrics;
    this.#egress = new KeptEgress({
      allowed: allowsPrivate ? privateRanges : [],
      because: 'WEBHOOK_ALLOW_PRIVATE is not true',
      maxConnections,
    });
  }

  /** Sends a request. Rejects only if this server is at fault. */
  async post(url: string, request: WebhookRequest): Promise<PostOutcome> {
    const posted = await this.#post(url, request);
    const { status, isAccepted, durationMs } = posted;
    const outcome = isAccepted ? 'accepted' : status === null ? 'unanswered' : 'refused';
    this.#metrics.observe('webhookSeconds', durationMs / 1000, { outcome });
    return posted;
  }

  async #post(url: string, request: WebhookRequest): Promise<PostOutcome> {
    const startedAt = performance.now();
    const durationMs = () => Math.round(performance.now() - startedAt);
    try {
      const { status, headers } = await this.#egress.post(new URL(url), { ...request, maxMs: this.#maxMs });
      const isAccepted = status >= 200 && status < 300;
      const reason = status >= 300 && status < 400 ? `status ${status}, a redirect` : `status ${status}`;
      const wantsBatches = isAccepted && asksForBatches(headers['prefer']);
      return { status, isAccepted, reason, wantsBatches, durationMs: durationMs() };
    } catch (error) {
      if (!(error instanceof EgressFailed)) throw error;
      const reason = error.message;
      return { status: null, isAccepted: false, reason, wantsBatches: false, durationMs: durationMs() };
    }
  }

  /** Closes the connections. */
  close(): void {
    this.#egress.close();
  }
}

/** Whether a `prefer` header (RFC 7240) contains the preference `batch`. */
function asksForBatches(prefer: string | string[] | undefined): boolean {
  return String(prefer ?? '')
    .split(',')
    .some((each) => /^\s*batch\s*(;|$)/i.test(each));
}
