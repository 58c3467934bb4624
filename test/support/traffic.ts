import { randomBytes } from 'node:crypto';
import { inspect } from 'node:util';
import { setTimeout as sleep } from 'node:timers/promises';
import { createGroup, say } from './chat.ts';
import type { Person } from './client.ts';
import { call, type RestOptions } from './rest.ts';
import { envelopeOf, eventsDocument, openStream, type EventStream } from './stream.ts';
import { uploadWithTus } from './tus.ts';

/** The work that clients do until `stop`, and every error that they see. */
export type Traffic = {
  /** Waits until each kind of work has been done `times` more times. */
  progress: (times: number) => Promise<void>;
  /** The URLs of the files that have been uploaded so far. */
  readonly files: readonly string[];
  /**
   * Stops all work, waits until every stream has received the messages that were sent, and returns the errors and the
   * counts.
   */
  stop: () => Promise<{ errors: string[]; counts: Record<string, number> }>;
};

const streamCount = 20;
const patienceMs = 60_000;

/**
 * Does the work of ordinary clients, at the address `url`, until `stop`. The clients send messages through GraphQL and
 * REST, read them, download a file, and upload with the stock tus client. They also follow all events on twenty
 * streams, which reconnect with their last cursor when a node ends them.
 */
export async function startTraffic(url: string, ada: Person, grace: Person): Promise<Traffic> {
  const chat = await createGroup(ada, [grace]);
  const counts: Record<string, number> = {};
  const errors: string[] = [];
  const sent: string[] = [];
  const state = { isStopped: false };
  const followers = Array.from({ length: streamCount }, () => new Follower(url, grace));
  await Promise.all(followers.map((follower) => follower.start()));
  const repeat = async (name: string, work: (turn: number) => Promise<unknown>) => {
    for (let turn = 0; !state.isStopped; turn += 1) {
      try {
        await work(turn);
        counts[name] = (counts[name] ?? 0) + 1;
      } catch (error) {
        errors.push(`${name}: ${inspect(error)}`);
      }
      await sleep(10);
    }
  };
  const upload = (size: number) =>
    uploadWithTus({ url }, ada, randomBytes(size), { retryDelays: [100, 300, 1_000, 3_000] });
  const rest = async (what: string, options: RestOptions = {}) => {
    const { status, body } = await call({ url }, what, { by: ada, ...options });
    if (status >= 300) throw new Error(`${status} ${JSON.stringify(body)}`);
  };
  const file = (await upload(100_000)).answer.files[0].url;
  const files: string[] = [file];
  const work = [
    repeat('send by GraphQL', async (turn) => {
      await say(ada, chat, `graphql ${turn}`);
      sent.push(`graphql ${turn}`);
    }),
    repeat('send by REST', async (turn) => {
      await rest(`POST /api/chats/${chat}/messages`, { body: { content: `rest ${turn}` } });
      sent.push(`rest ${turn}`);
    }),
    repeat('read by GraphQL', () => ada.ask('{ viewer { user { username } } }')),
    repeat('read by REST', () => rest(`GET /api/chats/${chat}/messages?limit=5`)),
    repeat('download', async () => {
      const response = await fetch(new URL(file, url));
      if (response.status !== 200) throw new Error(`${response.status} ${await response.text()}`);
      await response.arrayBuffer();
    }),
    repeat('upload by tus', async () => void files.push((await upload(300_000)).answer.files[0].url)),
  ];
  return {
    files,
    progress: async (times) => {
      const before = { ...counts };
      const deadline = Date.now() + patienceMs;
      const isDone = (name: string) => (counts[name] ?? 0) >= (before[name] ?? 0) + times;
      const isBehind = () => Object.keys(counts).filter(isDone).length < work.length;
      while (isBehind() && Date.now() < deadline) await sleep(20);
      if (isBehind()) errors.push(`no progress: ${JSON.stringify(counts)}`);
    },
    stop: async () => {
      state.isStopped = true;
      await Promise.all(work);
      for (const follower of followers) errors.push(...(await follower.finish(sent)));
      const resumed = followers.reduce((sum, { resumeCount }) => sum + resumeCount, 0);
      return { errors, counts: { ...counts, 'stream resumed': resumed } };
    },
  };
}

/** A client that follows all events, and reconnects with its last cursor. */
class Follower {
  readonly #url: string;
  readonly #person: Person;
  readonly #contents: string[] = [];
  readonly #errors: string[] = [];
  #stream: EventStream | null = null;
  #cursor: string | undefined;
  #isDone = false;
  #reading: Promise<void> = Promise.resolve();
  resumeCount = 0;

  constructor(url: string, person: Person) {
    this.#url = url;
    this.#person = person;
  }

  async start(): Promise<void> {
    await this.#open();
    this.#reading = this.#read();
  }

  /**
   * Waits for all these messages and disconnects. Returns all errors, which include missing messages, duplicates and
   * messages that were out of order.
   */
  async finish(sent: readonly string[]): Promise<string[]> {
    const deadline = Date.now() + patienceMs;
    while (this.#contents.length < sent.length && Date.now() < deadline) await sleep(20);
    this.#isDone = true;
    await this.#stream?.close();
    await this.#reading;
    const received = new Set(this.#contents);
    const missing = sent.filter((content) => !received.has(content));
    if (missing.length > 0) this.#errors.push(`never arrived: ${missing.slice(0, 5).join(', ')}`);
    if (received.size !== this.#contents.length) this.#errors.push('a message arrived twice');
    for (const kind of ['graphql', 'rest']) {
      const turns = this.#contents.filter((text) => text.startsWith(kind)).map((text) => Number(text.split(' ')[1]));
      if (turns.some((turn, index) => index > 0 && turn <= (turns[index - 1] ?? 0))) {
        this.#errors.push(`${kind}: out of order`);
      }
    }
    return this.#errors;
  }

  async #open(): Promise<void> {
    const variables = this.#cursor === undefined ? {} : { after: this.#cursor };
    this.#stream = await openStream({ url: this.#url }, this.#person, eventsDocument, { variables });
  }

  async #read(): Promise<void> {
    while (!this.#isDone) {
      try {
        const frame = await this.#stream?.next();
        const envelope = frame === undefined ? null : envelopeOf(frame);
        if (envelope === null) continue;
        this.#cursor = envelope.cursor ?? this.#cursor;
        const { __typename: kind, message } = envelope.event;
        if (kind === 'NewMessage') this.#contents.push(message.content);
        if (kind === 'Reset') this.#errors.push('a stream was reset');
      } catch {
        if (this.#isDone || this.#stream?.end === null) continue;
        // The end of a stream is not an error, because it tells the client to reconnect with its cursor.
        this.resumeCount += 1;
        await sleep(50);
        await this.#open().catch((error: Error) => this.#errors.push(`a stream did not open: ${error.message}`));
      }
    }
  }
}
