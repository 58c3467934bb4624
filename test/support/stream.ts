import { isDeepStrictEqual } from 'node:util';
import type { Data, Variables } from './client.ts';

/**
 * A frame: its fields as they arrived, and the parsed result in its data. `data` is null if the frame has no data, like
 * a `complete` frame.
 */
export type Frame = { id: string | null; event: string; data: Data };

/**
 * Which frame to wait for. This is either the name of the event (`NewMessage`; the document must select `__typename`)
 * or a predicate.
 */
export type Wanted = string | ((frame: Frame) => boolean);

/** Options of the request for a stream, if they differ from the defaults. */
export type StreamOptions = {
  variables?: Variables;
  operationName?: string;
  headers?: Record<string, string>;
  path?: string;
};

const patienceMs = 10_000;
// These are the real timers, even in a test that uses fake timers.
const { setTimeout, clearTimeout } = globalThis;

const envelope = `cursor at event {
  __typename
  ... on NewChat { chat { id type name } }
  ... on AddToChat { chat { id name } members { user { username } } addedCount }
  ... on RemoveFromChat { chatId userId user { username } }
  ... on ChatUpdated { chat { id type name description } }
  ... on ChatDeleted { chatId }
  ... on MemberUpdated { member { role user { username } chat { id } } }
  ... on NewMessage { message { id seq content sender { username } chat { id } } }
  ... on MessageEdited { message { id seq content editedAt } }
  ... on MessageDeleted { message { id seq content deletedAt } }
  ... on CaughtUp { replayed }
  ... on Reset { reason }
}`;

/** Subscribes to every event that concerns the viewer. */
export const eventsDocument = `subscription ($after: String) { events(after: $after) { ${envelope} } }`;
/** Subscribes to every event of one chat that the viewer receives. */
export const chatEventsDocument = `subscription ($chatId: ID!, $after: String) {
  chatEvents(chatId: $chatId, after: $after) { ${envelope} }
}`;

/** Returns the envelope in a frame, under whatever name the document gives it, or null if the frame has none. */
export function envelopeOf(frame: Frame): Data {
  return Object.values(frame.data?.data ?? {})[0] ?? null;
}

/** Returns the event in that frame with its fields, or null if the frame has none. */
export function eventOf(frame: Frame): Data {
  return envelopeOf(frame)?.event ?? null;
}

/**
 * A stream of events, read as it arrives: each frame is handed out once, in order.
 *
 *     await using stream = await followEvents(server, ada);
 *     await sendMessage(grace, chat, 'hello');
 *     expect(eventOf(await stream.next('NewMessage'))).toMatchObject({ message: { content: 'hello' } });
 *
 * Each wait times out after a while, and reports what arrived instead. To show that an event did not arrive, make
 * something happen that the user must receive, and look at what `until` returns.
 */
export class EventStream implements AsyncDisposable {
  readonly response: Response;
  /** All frames that have arrived so far. */
  readonly frames: Frame[] = [];
  /** The complete text that has arrived so far, byte for byte. */
  text = '';
  /** The number of comments that have arrived: the comment that opens a stream, and heartbeats. */
  commentCount = 0;
  readonly #abort: AbortController;
  readonly #reading: Promise<void>;
  #handedOut = 0;
  #unparsed = '';
  #end: string | null = null;
  #wake: (() => void)[] = [];

  /** Use `openStream` instead. `abort` aborts the request. */
  constructor(response: Response, abort: AbortController) {
    this.response = response;
    this.#abort = abort;
    this.#reading = this.#read();
  }

  /** The cursor of the last frame that was handed out, from which a client would resume. */
  get cursor(): string | null {
    return this.frames.slice(0, this.#handedOut).findLast(({ id }) => id !== null)?.id ?? null;
  }

  /** How the stream ended: null while it is open, `ended` if the server ended it, otherwise the reason why it broke. */
  get end(): string | null {
    return this.#end;
  }

  /** Returns the next frame that matches. Skips the frames before it, which `until` would return too. */
  async next(wanted: Wanted = () => true): Promise<Frame> {
    const frames = await this.until(wanted);
    return frames.at(-1) as Frame;
  }

  /** Returns the frames that have not been handed out yet, up to the first one that matches. */
  async until(wanted: Wanted): Promise<Frame[]> {
    const from = this.#handedOut;
    let index = from;
    await this.#waitFor(wanted, () => {
      while (index < this.frames.length && !isWanted(this.frames[index] as Frame, wanted)) index += 1;
      return index < this.frames.length;
    });
    this.#handedOut = index + 1;
    return this.frames.slice(from, index + 1);
  }

  /** Waits until `count` comments have arrived in total. */
  async comments(count: number): Promise<void> {
    await this.#waitFor(`${count} comments`, () => this.commentCount >= count);
  }

  /** Waits for the server to end the stream, and returns the frames that have not been handed out yet. */
  async ended(): Promise<Frame[]> {
    const from = this.#handedOut;
    await this.#waitFor('its end', () => this.#end !== null, { mayEnd: true });
    if (this.#end !== 'ended') throw new Error(`The stream broke: ${this.#end}. ${this.#describe(from)}`);
    this.#handedOut = this.frames.length;
    return this.frames.slice(from);
  }

  /** Closes the connection, as a client that leaves would. */
  async close(): Promise<void> {
    this.#abort.abort();
    await this.#reading;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #read(): Promise<void> {
    const decoder = new TextDecoder();
    try {
      for await (const chunk of this.response.body as AsyncIterable<Uint8Array>) {
        this.#take(decoder.decode(chunk, { stream: true }));
        this.#wakeAll();
      }
      this.#end = 'ended';
    } catch (error) {
      this.#end = this.#abort.signal.aborted ? 'closed by the test' : String(error);
    }
    this.#wakeAll();
  }

  #take(text: string): void {
    this.text += text;
    const blocks = (this.#unparsed + text).split('\n\n');
    this.#unparsed = blocks.pop() ?? '';
    for (const block of blocks) {
      if (block.startsWith(':')) this.commentCount += 1;
      else this.frames.push(parseFrame(block));
    }
  }

  async #waitFor(wanted: Wanted, isThere: () => boolean, { mayEnd = false } = {}): Promise<void> {
    const from = this.#handedOut;
    const deadline = Date.now() + patienceMs;
    while (!isThere()) {
      const what = typeof wanted === 'string' ? wanted : `a frame with ${String(wanted)}`;
      if (this.#end !== null && !mayEnd) throw new Error(`No ${what} arrived: ${this.#end}. ${this.#describe(from)}`);
      if (!(await this.#wokenBefore(deadline))) {
        throw new Error(`No ${what} arrived within ${patienceMs / 1_000} s. ${this.#describe(from)}`);
      }
    }
  }

  #wokenBefore(deadline: number): Promise<boolean> {
    return new Promise((resolve) => {
      const timeout = setTimeout(() => resolve(false), deadline - Date.now());
      this.#wake.push(() => {
        clearTimeout(timeout);
        resolve(true);
      });
    });
  }

  #wakeAll(): void {
    for (const wake of this.#wake.splice(0)) wake();
  }

  #describe(from: number): string {
    const frames = this.frames.slice(from).map((frame) => `\n  ${JSON.stringify(frame)}`);
    return frames.length === 0 ? 'Nothing else came.' : `What came:${frames.join('')}`;
  }
}

/**
 * Opens a stream with POST, as the user `by` (null: signed out). Resolves once the headers have arrived. Throws an
 * error with the response if the response is not a stream. The caller closes the stream, or uses `await using`.
 */
export async function openStream(
  server: { url: string },
  by: { token: string } | null,
  document: string,
  { variables = {}, operationName, headers = {}, path = '/graphql' }: StreamOptions = {},
): Promise<EventStream> {
  const abort = new AbortController();
  const response = await fetch(server.url + path, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      accept: 'text/event-stream',
      ...(by !== null && { authorization: `Bearer ${by.token}` }),
      ...headers,
    },
    body: JSON.stringify({ query: document, variables, operationName }),
    signal: abort.signal,
  });
  if (response.status !== 200 || response.headers.get('content-type')?.startsWith('text/event-stream') !== true) {
    throw new Error(`Expected a stream, got ${response.status}: ${await response.text()}`);
  }
  return new EventStream(response, abort);
}

/**
 * Follows every event that concerns a user. Resolves once the stream is live. The stream delivers everything that
 * happens from then on.
 */
export async function followEvents(
  server: { url: string },
  person: { token: string },
  { document = eventsDocument, ...options }: StreamOptions & { document?: string } = {},
): Promise<EventStream> {
  const stream = await openStream(server, person, document, options);
  await stream.next('CaughtUp');
  return stream;
}

/** Subscribes to every event of one chat that the viewer receives. */
export function followChat(
  server: { url: string },
  person: { token: string },
  chatId: string,
  { document = chatEventsDocument, ...options }: StreamOptions & { document?: string } = {},
): Promise<EventStream> {
  return followEvents(server, person, { document, ...options, variables: { chatId, ...options.variables } });
}

/** Resumes from a cursor, and returns the missed events and the CaughtUp after them. Closes the stream afterwards. */
export async function readMissed(
  server: { url: string },
  person: { token: string },
  after: string | null,
  options: StreamOptions & { document?: string } = {},
): Promise<Frame[]> {
  const { document = eventsDocument, ...rest } = options;
  await using stream = await openStream(server, person, document, { ...rest, variables: { ...rest.variables, after } });
  return await stream.until('CaughtUp');
}

/** Matches, for `until` and `next`, a frame whose event has at least these fields. */
export function matching(fields: Record<string, unknown>): (frame: Frame) => boolean {
  const test = (frame: Frame) => holds(eventOf(frame), fields);
  test.toString = () => JSON.stringify(fields);
  return test;
}

function holds(value: unknown, wanted: unknown): boolean {
  if (typeof wanted !== 'object' || wanted === null || Array.isArray(wanted)) return isDeepStrictEqual(value, wanted);
  if (typeof value !== 'object' || value === null) return false;
  return Object.entries(wanted).every(([name, part]) => holds(Reflect.get(value, name), part));
}

function isWanted(frame: Frame, wanted: Wanted): boolean {
  return typeof wanted === 'string' ? eventOf(frame)?.__typename === wanted : wanted(frame);
}

/** https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation */
function parseFrame(block: string): Frame {
  let id: string | null = null;
  let event = 'message';
  const data: string[] = [];
  for (const line of block.split('\n')) {
    const [, name, value] = /^([^:]*):? ?([^]*)$/.exec(line) ?? [];
    if (name === 'id') id = value ?? '';
    if (name === 'event') event = value ?? '';
    if (name === 'data') data.push(value ?? '');
  }
  const text = data.join('\n');
  return { id, event, data: text === '' ? null : JSON.parse(text) };
}
