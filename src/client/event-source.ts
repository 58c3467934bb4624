import { Unreachable } from './error.ts';
import { headersWith, reach, toError, type Refusal, type Server } from './request.ts';
import type { ParleyError } from './error.ts';

/** A stream that is silent for this long, in ms, is considered dead. Heartbeats arrive every 20 to 25 s. */
const silenceMs = 60_000;
const tickMs = 5_000;

/** One result of a subscription. The subscription's document determines the shape of `data`. */
export type Result = { data?: Record<string, unknown> | null; errors?: Refusal[] };

/** How to read a stream. */
export type Reading = {
  token: string;
  /** The document and its variables. */
  body: object;
  /** The cursor after which to continue, if the variables do not contain one. */
  lastEventId?: string | null;
  signal: AbortSignal;
  /** `cursor` is the position of the result. */
  onResult: (result: Result, cursor: string) => void;
  /** Receives the time, in ms, that the server asks clients to wait before they reconnect. */
  onRetry: (ms: number) => void;
};

/**
 * How a stream ended. 'complete' means for good, a ParleyError means that the token was refused, and null means that
 * the client should reconnect.
 */
export type StreamEnd = 'complete' | ParleyError | null;

/**
 * Reads the results of a subscription until the stream ends, in the distinct connections mode of graphql-sse. Throws a
 * ParleyError if the request is refused for any reason other than the token. Throws Unreachable if the stream breaks or
 * stays silent, or if something other than the API answered.
 * https://github.com/enisdenjo/graphql-sse/blob/master/PROTOCOL.md
 */
export async function readStream({ url, fetch }: Server, reading: Reading): Promise<StreamEnd> {
  const { token, body, lastEventId, signal } = reading;
  const abort = new AbortController();
  const stop = () => abort.abort();
  if (signal.aborted) stop();
  signal.addEventListener('abort', stop);
  const watch = new Watch(stop);
  try {
    const response = await reach(() =>
      fetch(`${url}/graphql`, {
        method: 'POST',
        headers: { ...headersWith(token, 'text/event-stream'), ...(lastEventId && { 'last-event-id': lastEventId }) },
        body: JSON.stringify(body),
        signal: abort.signal,
      }),
    );
    const refusal = await reach(() => readRefusal(response));
    if (refusal === null) return await reach(() => readFrames(response, watch, reading));
    if (refusal.code === 'UNAUTHENTICATED') return refusal;
    throw refusal;
  } finally {
    watch.end();
    signal.removeEventListener('abort', stop);
    stop();
  }
}

/** Returns the refusal, or null if the response is a stream. Throws if it is neither. */
async function readRefusal(response: Response): Promise<ParleyError | null> {
  if (response.headers.get('content-type')?.startsWith('text/event-stream') === true) return null;
  return toError((await response.json()).errors[0]);
}

async function readFrames(response: Response, watch: Watch, reading: Reading): Promise<StreamEnd> {
  const reader = response.body?.getReader();
  if (reader === undefined) throw new Unreachable('This fetch cannot stream.');
  const decoder = new TextDecoder();
  let text = '';
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return null;
    watch.note();
    text += decoder.decode(value, { stream: true });
    const blocks = text.split('\n\n');
    text = blocks.pop() ?? '';
    for (const block of blocks) {
      const frame = parseBlock(block);
      if (frame.retry !== null) reading.onRetry(frame.retry);
      if (frame.event === 'complete') return 'complete';
      if (frame.event === 'next') reading.onResult(JSON.parse(frame.data), frame.id);
    }
  }
}

/** https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation */
function parseBlock(block: string): { event: string; data: string; id: string; retry: number | null } {
  const fields = { event: '', data: '', id: '', retry: '' };
  for (const line of block.split('\n')) {
    const [, name = '', value = ''] = /^([^:]*):? ?(.*)$/.exec(line) ?? [];
    if (name === 'event' || name === 'data' || name === 'id' || name === 'retry') fields[name] += value;
  }
  return { ...fields, retry: fields.retry === '' ? null : Number(fields.retry) };
}

/**
 * Detects that a stream has been silent for too long, or that the device has slept, because streams die unnoticed
 * during sleep.
 */
class Watch {
  #heardAt = Date.now();
  #tickedAt = Date.now();
  readonly #timer: ReturnType<typeof setInterval>;

  constructor(onDeath: () => void) {
    this.#timer = setInterval(() => {
      const now = Date.now();
      if (now - this.#heardAt > silenceMs || now - this.#tickedAt > 3 * tickMs) onDeath();
      this.#tickedAt = now;
    }, tickMs);
  }

  note(): void {
    this.#heardAt = Date.now();
  }

  end(): void {
    clearInterval(this.#timer);
  }
}
