import { eventsDocument } from './document.ts';
import { Unreachable } from './error.ts';
import { headersWith, reach, toError, type Server } from './request.ts';
import type { ParleyError } from './error.ts';
import type { Envelope } from './wire.ts';

/** After this time without a byte, in ms, a stream is dead: heartbeats come every 20 to 25 s. */
const silenceMs = 60_000;
const tickMs = 5_000;

export type Reading = {
  token: string;
  after: string | null;
  signal: AbortSignal;
  onEnvelope: (envelope: Envelope) => void;
  /** The server asks clients to wait so long, in ms, before they connect again. */
  onRetry: (ms: number) => void;
};

/** Why a stream ended for good: the server's refusal; null when it asks for a new connection. */
export type StreamEnd = ParleyError | null;

/**
 * Reads the events after a cursor until the stream ends, as in the distinct connections mode of graphql-sse. Throws
 * Unreachable if it breaks, stays silent, or if what answered is not a stream of events.
 * https://github.com/enisdenjo/graphql-sse/blob/master/PROTOCOL.md
 */
export async function readEvents({ url, fetch }: Server, reading: Reading): Promise<StreamEnd> {
  const abort = new AbortController();
  const stop = () => abort.abort();
  if (reading.signal.aborted) stop();
  reading.signal.addEventListener('abort', stop);
  const watch = new Watch(stop);
  try {
    return await reach(async () => {
      const response = await fetch(`${url}/graphql`, {
        method: 'POST',
        headers: headersWith(reading.token, 'text/event-stream'),
        body: JSON.stringify({ query: eventsDocument, variables: { after: reading.after } }),
        signal: abort.signal,
      });
      const refusal = await readRefusal(response);
      return refusal ?? (await readFrames(response, watch, reading));
    });
  } finally {
    watch.end();
    reading.signal.removeEventListener('abort', stop);
    stop();
  }
}

/** Returns the refusal of a request without a valid token; throws if the response is no stream. */
async function readRefusal(response: Response): Promise<ParleyError | null> {
  if (response.headers.get('content-type')?.startsWith('text/event-stream') === true) return null;
  const refusal = (await response.json()).errors?.[0];
  if (response.status === 401) return toError(refusal);
  throw new Error(String(refusal?.message ?? response.status));
}

async function readFrames(response: Response, watch: Watch, reading: Reading): Promise<StreamEnd> {
  const reader = response.body?.getReader();
  if (reader === undefined) throw new Unreachable('This fetch cannot stream.');
  const decoder = new TextDecoder();
  let text = '';
  let end: StreamEnd = null;
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
      if (frame.event === 'complete') return end;
      if (frame.event !== 'next') continue;
      const { data, errors } = JSON.parse(frame.data);
      if (data?.events != null) reading.onEnvelope(data.events);
      else if (errors?.[0] !== undefined) end = toError(errors[0]);
    }
  }
}

/** https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation */
function parseBlock(block: string): { event: string; data: string; retry: number | null } {
  const fields = { event: '', data: '', retry: '' };
  for (const line of block.split('\n')) {
    const [, name = '', value = ''] = /^([^:]*):? ?(.*)$/.exec(line) ?? [];
    if (name === 'event' || name === 'data' || name === 'retry') fields[name] += value;
  }
  return { ...fields, retry: fields.retry === '' ? null : Number(fields.retry) };
}

/** Notices when a stream has been silent too long, and when the device slept, during which streams die unnoticed. */
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
