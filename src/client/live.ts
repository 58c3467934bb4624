import { eventsDocument } from './document.ts';
import { ParleyError } from './error.ts';
import { readStream, type Result } from './event-source.ts';
import { toError, type Server } from './request.ts';
import type { Session } from './session.ts';
import type { Connection } from './state.ts';
import { backOff, Pause } from './timer.ts';
import type { Envelope } from './wire.ts';

/** The dependencies of the event stream, including its callbacks. */
export type LiveOptions = {
  server: Server;
  session: Session;
  /** Fetches the state to which the events after `cursor` apply. */
  prepare: () => Promise<void>;
  cursor: () => string | null;
  onEnvelope: (envelope: Envelope) => void;
  onConnection: (connection: Connection) => void;
  /** Called when the server could not render an event, so that everything must be fetched again. */
  onLoss: () => void;
};

/**
 * Keeps one stream of events open until it is stopped. It reconnects as necessary, and resumes after the last event.
 */
export class Live {
  readonly #options: LiveOptions;
  readonly #pause = new Pause();
  #abort: AbortController | null = null;
  #failures = 0;
  #retryMs = 1_000;

  constructor(options: LiveOptions) {
    this.#options = options;
  }

  get isRunning(): boolean {
    return this.#abort !== null;
  }

  start(): void {
    if (this.#abort !== null) return;
    const abort = (this.#abort = new AbortController());
    this.#options.onConnection('connecting');
    void this.#run(abort.signal);
  }

  stop(): void {
    this.#abort?.abort();
    this.#abort = null;
    this.#pause.end();
  }

  /** Makes the next attempt to connect immediately. */
  wake(): void {
    this.#failures = 0;
    this.#pause.end();
  }

  async #run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const waitMs = await this.#connect(signal);
      if (!signal.aborted && waitMs > 0) await this.#pause.wait(waitMs);
    }
  }

  /** Follows one stream until it ends. Resolves to the time to wait before the next stream, in ms. */
  async #connect(signal: AbortSignal): Promise<number> {
    const { session, server, prepare, onConnection } = this.#options;
    try {
      await prepare();
      const token = await session.token();
      const body = { query: eventsDocument, variables: { after: this.#options.cursor() } };
      const failures: ParleyError[] = [];
      const onResult = ({ data, errors = [] }: Result) => {
        // The cast is safe because the document selects these fields.
        const envelope = data?.['events'] as Envelope | null | undefined;
        if (envelope != null) this.#take(envelope, signal);
        else failures.push(...errors.map(toError));
      };
      const reading = { token, body, signal, onResult, onRetry: (ms: number) => (this.#retryMs = ms) };
      let end = await readStream(server, reading);
      if (signal.aborted) return 0;
      onConnection('connecting');
      if (end === 'complete') end = failures[0] ?? null;
      if (end === null) {
        // An expired token closes its stream, so there is no reason to wait. After any other end, clients wait for the
        // time that the server chose, so that they do not all reconnect at once.
        const isRenewed = (await session.token()) !== token;
        return isRenewed ? 0 : this.#retryMs;
      }
      if (end.code === 'UNAUTHENTICATED') await session.token(token);
      else if (end.code !== 'RATE_LIMITED') this.#options.onLoss();
      throw end;
    } catch (error) {
      if (signal.aborted) return 0;
      this.#failures += 1;
      const isRefused = error instanceof ParleyError && error.code === 'UNAUTHENTICATED';
      if (isRefused && !session.isOpen) return 0;
      if (isRefused && this.#failures === 1) return 0;
      onConnection('offline');
      return backOff(this.#failures, this.#retryMs / 2);
    }
  }

  #take(envelope: Envelope, signal: AbortSignal): void {
    if (signal.aborted) return;
    this.#failures = 0;
    this.#options.onEnvelope(envelope);
  }
}
