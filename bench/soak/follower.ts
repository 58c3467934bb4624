import { Agent, request, type ClientRequest } from 'node:http';
import { randomInt } from 'node:crypto';

const document = `subscription ($after: String) {
  events(after: $after) { cursor event { __typename ... on NewMessage { message { id seq content } } ... on Reset { reason } } }
}`;
const notices = new Set(['CaughtUp', 'Typing', 'PresenceChanged']);

/** A frame with an event from the log. */
export type Received = { id: number; kind: string };

/**
 * A stream of one user that reconnects to any node with its last cursor whenever it breaks. It reports each event, and
 * also errors in the stream itself: a cursor that does not grow, a Reset, an event with errors, or a stream that was
 * refused (401) or ended for good.
 */
export class Follower {
  readonly userId: string;
  received = 0;
  connections = 0;
  /** The position of the last event, or the log position that a notice reported. */
  position = 0;
  #cursor: string | null = null;
  readonly #token: string;
  readonly #pickUrl: () => string | null;
  readonly #report: { event: (event: Received) => void; fault: (text: string) => void };
  readonly #agent = new Agent();
  #request: ClientRequest | null = null;
  #retry: NodeJS.Timeout | null = null;
  #silence: NodeJS.Timeout | null = null;
  #isClosed = false;

  constructor(
    person: { userId: string; token: string },
    pickUrl: () => string | null,
    report: { event: (event: Received) => void; fault: (text: string) => void },
  ) {
    [this.userId, this.#token, this.#pickUrl, this.#report] = [person.userId, person.token, pickUrl, report];
    this.#connect();
  }

  /** Returns whether the stream has received everything in the log up to this event. */
  hasReached(id: number): boolean {
    return this.position >= id;
  }

  cut(): void {
    this.#request?.destroy();
  }

  close(): void {
    this.#isClosed = true;
    if (this.#retry !== null) clearTimeout(this.#retry);
    if (this.#silence !== null) clearTimeout(this.#silence);
    this.#request?.destroy();
    this.#agent.destroy();
  }

  #connect(): void {
    if (this.#isClosed) return;
    const url = this.#pickUrl();
    if (url === null) return this.#comeBack();
    let unparsed = '';
    const headers = {
      'content-type': 'application/json',
      accept: 'text/event-stream',
      authorization: `Bearer ${this.#token}`,
    };
    const connection = request(`${url}/graphql/stream`, { method: 'POST', agent: this.#agent, headers });
    this.#request = connection;
    this.#listen();
    connection.on('response', (response) => {
      if (response.statusCode !== 200) {
        if (response.statusCode === 401) this.#report.fault('a stream was refused: 401');
        response.destroy();
        return;
      }
      this.connections += 1;
      response.setEncoding('utf8').on('error', () => undefined);
      response.on('data', (text: string) => {
        if (connection !== this.#request) return;
        this.#listen();
        const blocks = (unparsed + text).split('\n\n');
        unparsed = blocks.pop() ?? '';
        for (const block of blocks) if (!block.startsWith(':')) this.#take(block);
      });
    });
    connection.on('error', () => undefined);
    connection.on('close', () => {
      if (connection === this.#request) this.#comeBack();
    });
    connection.end(JSON.stringify({ query: document, variables: { after: this.#cursor } }));
  }

  /** Drops the connection once it has been silent for longer than the interval between heartbeats, as a client does. */
  #listen(): void {
    if (this.#silence !== null) clearTimeout(this.#silence);
    this.#silence = setTimeout(() => this.cut(), 30_000);
  }

  #comeBack(): void {
    if (!this.#isClosed) this.#retry = setTimeout(() => this.#connect(), randomInt(100, 1_000));
  }

  #take(block: string): void {
    if (block.startsWith('event: complete')) return this.#report.fault(`the stream ended for good: ${block}`);
    const data = /^data: ?(.*)$/m.exec(block)?.[1];
    if (data === undefined) return;
    const { data: result, errors } = JSON.parse(data) as {
      data?: { events?: { cursor: string; event: { __typename: string } } };
      errors?: unknown;
    };
    const envelope = result?.events;
    if (envelope == null || errors !== undefined) return this.#report.fault(`an event with errors: ${data}`);
    const { cursor, event } = envelope;
    const id = Number(cursor.slice(cursor.indexOf('.') + 1));
    const kind = event.__typename;
    this.#cursor = cursor;
    const isNotice = notices.has(kind);
    if (isNotice ? id < this.position : id <= this.position) {
      this.#report.fault(`${kind} at ${id} came after ${this.position}`);
    }
    this.position = id;
    if (kind === 'Reset') this.#report.fault('the stream was reset');
    if (isNotice || kind === 'Reset') return;
    this.received += 1;
    this.#report.event({ id, kind });
  }
}
