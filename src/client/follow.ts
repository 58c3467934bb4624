import type { Client } from './client.ts';
import { isTemporary, ParleyError } from './error.ts';
import { readStream, type Result } from './event-source.ts';
import { toError } from './request.ts';
import { onOnline } from './online.ts';
import { backOff, Pause } from './timer.ts';

/** A subscription to events, in the form of a request body. */
export type Subscription = { query: string; variables?: object | undefined; operationName?: string | undefined };

/** What to do with a subscription’s results, and when to end it. */
export type Following = {
  signal: AbortSignal;
  onResult: (result: Result) => void;
  /** Called when events were missed and cannot be replayed, so that all data fetched before must be fetched again. */
  onReset: () => void;
};

/**
 * Follows one of the app's own subscriptions. Whenever the stream breaks or the token expires, resumes after the last
 * event. Resolves when the signal is aborted, when the subscription is complete, or when the subscription is refused.
 * If the subscription is refused, `onResult` first receives a result with the reason.
 */
export async function followSubscription(client: Client, body: Subscription, following: Following): Promise<void> {
  const { signal } = following;
  const pause = new Pause();
  const wake = () => pause.end();
  signal.addEventListener('abort', wake);
  const end = onOnline(wake);
  try {
    const follower = new Follower(client, body, following);
    for (;;) {
      const waitMs = await follower.connect();
      if (waitMs === null || signal.aborted) return;
      if (waitMs > 0) await pause.wait(waitMs);
    }
  } finally {
    signal.removeEventListener('abort', wake);
    end();
  }
}

class Follower {
  readonly #client: Client;
  readonly #body: Subscription;
  readonly #following: Following;
  #cursor: string | null = null;
  #failures = 0;
  #retryMs = 1_000;

  constructor(...[client, body, following]: Parameters<typeof followSubscription>) {
    [this.#client, this.#body, this.#following] = [client, body, following];
  }

  /**
   * Follows one stream until it ends. Resolves to the time to wait before the next stream, in ms, or to null if there
   * is no next stream.
   */
  async connect(): Promise<number | null> {
    const { signal } = this.#following;
    try {
      const token = await this.#client.token();
      const failures: ParleyError[] = [];
      const end = await readStream(this.#client.server, {
        ...{ token, body: this.#body, lastEventId: this.#cursor, signal },
        onResult: (result, cursor) => {
          if (signal.aborted) return;
          if (result.data == null) failures.push(...(result.errors ?? []).map(toError));
          else this.#take(result, cursor);
        },
        onRetry: (ms) => (this.#retryMs = ms),
      });
      // The server closes a stream when its token expires. In that case, there is no reason to wait. After any other
      // end, clients wait for the time that the server chose, so that they do not all reconnect at once.
      if (end === null) return (await this.#client.token()) === token ? this.#retryMs : 0;
      const failure = end === 'complete' ? failures[0] : end;
      return failure === undefined ? null : await this.#recover(failure, token);
    } catch (error) {
      const isFinal = error instanceof ParleyError && !isTemporary(error);
      return isFinal ? this.#refuse(error) : this.#backOff();
    }
  }

  #take(result: Result, cursor: string): void {
    this.#failures = 0;
    if (cursor !== '') this.#cursor = cursor;
    this.#following.onResult(result);
    const isReset = Object.values(result.data ?? {}).some((envelope) => kindOf(envelope) === 'Reset');
    if (isReset) this.#following.onReset();
  }

  async #recover(failure: ParleyError, token: string): Promise<number | null> {
    if (failure.code === 'UNAUTHENTICATED') {
      await this.#client.token(token);
      return this.#backOff(this.#failures === 0 ? 0 : undefined);
    }
    if (this.#cursor === null && !isTemporary(failure)) return this.#refuse(failure);
    if (this.#cursor !== null && failure.code !== 'RATE_LIMITED') {
      // The server cannot show an event. Continue from the current position, as if events had been missed.
      const { viewer } = await this.#client.query<{ viewer: { eventCursor: string } }>('{viewer{eventCursor}}');
      this.#cursor = viewer.eventCursor;
      this.#following.onReset();
    }
    return this.#backOff();
  }

  #refuse({ code, message }: ParleyError): null {
    this.#following.onResult({ errors: [{ message, extensions: { code } }] });
    return null;
  }

  #backOff(ms = backOff(this.#failures + 1, this.#retryMs / 2)): number {
    this.#failures += 1;
    return ms;
  }
}

function kindOf(envelope: unknown): unknown {
  const { event } = (envelope ?? {}) as { event?: { __typename?: unknown } | null };
  return event?.__typename;
}
