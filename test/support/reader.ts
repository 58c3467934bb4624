import { Agent, request, type ClientRequest, type IncomingMessage } from 'node:http';
import { onTestFinished } from 'vitest';
import type { Data } from './client.ts';

/** A message as a reader received it. */
export type Heard = { seq: number; content: string };

/** An event as a reader received it. `kind` is its `__typename`. */
export type Told = { id: bigint; kind: string; chatId: string; event: Data };

/** What a reader follows, and the position where it starts. */
export type ReaderOptions = {
  /** The cursor to resume from. */
  cursor?: string | null;
  /** The id of the chat to follow. By default, the reader follows all events. */
  chatId?: string;
  /** Additional fields to select from a message, so that the document differs from others. */
  ofMessage?: string;
  /** Whether to subscribe to presence as well. */
  wantsPresence?: boolean;
};

const fieldsWith = (ofMessage: string) => `cursor event {
  __typename
  ... on NewChat { chat { id } }
  ... on AddToChat { chat { id } }
  ... on RemoveFromChat { chatId userId }
  ... on ChatUpdated { chat { id } }
  ... on ChatDeleted { chatId }
  ... on NewMessage { message { seq content chat { id } ${ofMessage} } }
  ... on MessageEdited { message { seq content chat { id } } }
  ... on MessageDeleted { message { seq content chat { id } } }
  ... on Typing { chatId userId }
  ... on Reset { reason }
}`;

const ofPresence = '... on PresenceChanged { userId presence { status } }';

function documentFor({ chatId, ofMessage = '', wantsPresence = false }: ReaderOptions): string {
  const fields = fieldsWith(ofMessage).replace('... on Typing', `${wantsPresence ? ofPresence : ''} ... on Typing`);
  return chatId === undefined
    ? `subscription ($after: String) { events(after: $after) { ${fields} } }`
    : `subscription ($chatId: ID!, $after: String) { chatEvents(chatId: $chatId, after: $after) { ${fields} } }`;
}

const patienceMs = 15_000;

/**
 * A client that must not miss anything. It reconnects with its last cursor whenever its stream breaks, until the server
 * ends the stream for good or the test ends. It records everything that it receives. In `faults`, it records everything
 * that must not happen, such as a cursor that does not increase or an event with errors.
 */
export class Reader {
  /** The events in the order of arrival, without notices such as CaughtUp. */
  readonly told: Told[] = [];
  /** The reasons given in the Resets that it received. */
  readonly resets: string[] = [];
  readonly faults: string[] = [];
  /** The number of typing events that it received. */
  typingCount = 0;
  /** Changes of presence: `<user id> <status>`. */
  readonly presences: string[] = [];
  /** The number of streams that have begun, and the number of times that a stream became live. */
  streamCount = 0;
  caughtUpCount = 0;
  /** The number of times that the response was not a stream. */
  refusedCount = 0;
  /** How the server ended the stream for good: the code of the error, or COMPLETE. */
  end: string | null = null;
  cursor: string | null;
  readonly #token: string;
  readonly #document: string;
  readonly #variables: Record<string, unknown>;
  readonly #heard = new Map<string, Heard[]>();
  readonly #agent = new Agent();
  #server: { url: string };
  #lastEvent = { epoch: '', id: 0n };
  #request: ClientRequest | null = null;
  #response: IncomingMessage | null = null;
  #pace: Pace = 'EAGER';
  #unparsed = '';
  #isClosed = false;
  #retry: NodeJS.Timeout | null = null;
  #waiting: (() => void)[] = [];

  constructor(server: { url: string }, person: { token: string }, options: ReaderOptions = {}) {
    this.#server = server;
    this.#token = person.token;
    this.#document = documentFor(options);
    this.#variables = options.chatId === undefined ? {} : { chatId: options.chatId };
    this.cursor = options.cursor ?? null;
    onTestFinished(() => this.close());
    this.#connect();
  }

  /** Returns the new messages that it has received in a chat, in order of arrival. */
  heardIn(chatId: string): Heard[] {
    return this.#heard.get(chatId) ?? [];
  }

  /** The number of new messages that it has received. */
  get heardCount(): number {
    let count = 0;
    for (const heard of this.#heard.values()) count += heard.length;
    return count;
  }

  /** The kinds of the events that it has received. */
  get kinds(): string[] {
    return this.told.map(({ kind }) => kind);
  }

  /** Drops its connection, and reconnects. */
  cut(): void {
    this.#request?.destroy();
  }

  /** Drops its connection, and reconnects to another node. */
  moveTo(server: { url: string }): void {
    this.#server = server;
    this.cut();
  }

  /** Stops reading from its socket. */
  stall(): void {
    this.#pace = 'STALLED';
    this.#response?.pause();
  }

  /** Reads only `bytes` bytes per millisecond, on average. */
  crawl(bytes: number): void {
    this.#pace = { bytes };
    this.#response?.resume();
  }

  /** Reads at full speed again. */
  resume(): void {
    this.#pace = 'EAGER';
    this.#response?.resume();
  }

  close(): void {
    this.#isClosed = true;
    if (this.#retry !== null) clearTimeout(this.#retry);
    this.#request?.destroy();
    this.#agent.destroy();
  }

  /** Resolves once the condition holds. Checks the condition whenever something arrives. */
  async until(holds: () => boolean, what = String(holds)): Promise<void> {
    const deadline = performance.now() + patienceMs;
    while (!holds()) {
      const isWoken = await new Promise<boolean>((resolve) => {
        const timeout = setTimeout(() => resolve(false), Math.max(0, deadline - performance.now()));
        this.#waiting.push(() => {
          clearTimeout(timeout);
          resolve(true);
        });
      });
      if (!isWoken) throw new Error(`${what} did not arrive within ${patienceMs / 1_000} s. ${this.#describe()}`);
    }
  }

  /** Resolves once its stream has become live at least `times` times. */
  async live(times = 1): Promise<this> {
    await this.until(() => this.caughtUpCount >= times, `CaughtUp (${times})`);
    return this;
  }

  #connect(): void {
    if (this.#isClosed) return;
    this.#unparsed = '';
    const connection = request(`${this.#server.url}/graphql/stream`, {
      method: 'POST',
      agent: this.#agent,
      headers: {
        'content-type': 'application/json',
        accept: 'text/event-stream',
        authorization: `Bearer ${this.#token}`,
        connection: 'close',
      },
    });
    this.#request = connection;
    connection.on('response', (response) => this.#read(response));
    connection.on('error', () => {});
    connection.on('close', () => {
      if (connection === this.#request && this.end === null) this.#comeBack();
    });
    const variables = { ...this.#variables, after: this.cursor };
    connection.end(JSON.stringify({ query: this.#document, variables }));
  }

  #comeBack(): void {
    this.#response = null;
    if (!this.#isClosed) this.#retry = setTimeout(() => this.#connect(), 5 + Math.random() * 20);
  }

  #read(response: IncomingMessage): void {
    if (response.statusCode === 401) this.end = 'UNAUTHENTICATED';
    if (response.statusCode !== 200) {
      this.refusedCount += 1;
      response.resume();
      this.#wake();
      return;
    }
    this.streamCount += 1;
    this.#response = response;
    response.setEncoding('utf8');
    response.on('error', () => {});
    response.on('data', (text: string) => {
      if (response !== this.#response) return;
      this.#take(text);
      this.#pause(response, text);
    });
    if (this.#pace === 'STALLED') response.pause();
    this.#wake();
  }

  /** After each piece, waits for as long as reading the piece takes at this reader's pace. */
  #pause(response: IncomingMessage, text: string): void {
    const pace = this.#pace;
    if (typeof pace === 'string') return;
    response.pause();
    setTimeout(() => {
      if (this.#pace === pace) response.resume();
    }, text.length / pace.bytes);
  }

  #take(text: string): void {
    const blocks = (this.#unparsed + text).split('\n\n');
    this.#unparsed = blocks.pop() ?? '';
    for (const block of blocks) if (!block.startsWith(':')) this.#takeFrame(block);
    this.#wake();
  }

  #takeFrame(block: string): void {
    const data = /^data: ?(.*)$/m.exec(block)?.[1] ?? '';
    if (block.startsWith('event: complete')) {
      this.end ??= 'COMPLETE';
      return;
    }
    const result = JSON.parse(data);
    const envelope = result.data?.events ?? result.data?.chatEvents;
    if (envelope == null) {
      const code = result.errors?.[0]?.extensions?.code;
      if (code === 'UNAUTHENTICATED' || code === 'NOT_FOUND') this.end = code;
      else this.faults.push(`an event with errors: ${data}`);
      return;
    }
    if (result.errors !== undefined) this.faults.push(`an event with errors: ${data}`);
    this.#takeEnvelope(envelope);
  }

  #takeEnvelope({ cursor, event }: { cursor: string; event: Data }): void {
    const [epoch = '', number = ''] = cursor.split('.');
    const id = BigInt(number);
    const kind: string = event.__typename;
    this.cursor = cursor;
    if (kind === 'Reset') {
      this.resets.push(event.reason);
      this.#lastEvent = { epoch, id };
      return;
    }
    const last = this.#lastEvent;
    const isNotice = kind === 'CaughtUp' || kind === 'Typing' || kind === 'PresenceChanged';
    if (epoch === last.epoch && (isNotice ? id < last.id : id <= last.id)) {
      this.faults.push(`${kind} at ${id} came after ${last.id}`);
    }
    this.#lastEvent = { epoch, id };
    if (kind === 'CaughtUp') this.caughtUpCount += 1;
    else if (kind === 'Typing') this.typingCount += 1;
    else if (kind === 'PresenceChanged') this.presences.push(`${event.userId} ${event.presence.status}`);
    else this.#note({ id, kind, chatId: event.chatId ?? event.chat?.id ?? event.message?.chat.id ?? '', event });
  }

  #note(told: Told): void {
    this.told.push(told);
    if (told.kind !== 'NewMessage') return;
    const { seq, content, chat } = told.event.message;
    const heard = this.#heard.get(chat.id);
    if (heard === undefined) this.#heard.set(chat.id, [{ seq, content }]);
    else heard.push({ seq, content });
  }

  #wake(): void {
    for (const wake of this.#waiting.splice(0)) wake();
  }

  #describe(): string {
    const last = this.told.at(-1);
    return `It has received ${this.heardCount} messages on ${this.streamCount} streams, the last event was ${
      last === undefined ? 'none' : `${last.kind} at ${last.id}`
    }, its end ${this.end}, its faults ${JSON.stringify(this.faults.slice(0, 3))}.`;
  }
}

type Pace = 'EAGER' | 'STALLED' | { bytes: number };
