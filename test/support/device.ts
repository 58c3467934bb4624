import { createClient, ParleyError, type Client, type KeyValueStore } from '../../src/client/client.ts';
import { Store } from '../../src/client/store.ts';
import type { Action } from '../../src/client/reducer.ts';
import type { Message } from '../../src/client/state.ts';
import type { Person } from './client.ts';

/** The current problems of a device's network. See `Device`. */
type Trouble = { isOffline: boolean; lostAnswers: number; slowAnswers: number; portals: number };

/**
 * The outcome of a message that was sent through a client. `kept` means that the app ended before it knew the outcome.
 */
export type Sent = {
  content: string;
  /**
   * `lost` means that the user first lost access to the chat, and thus can no longer find out whether the server has
   * the message.
   */
  outcome: 'waiting' | 'kept' | 'sent' | 'refused' | 'lost';
  message?: Message;
};

/** Returns the outcome of a message that could not be sent. */
function outcomeOf(error: unknown): Sent['outcome'] {
  return error instanceof ParleyError && error.code === 'NOT_FOUND' ? 'lost' : 'refused';
}

/**
 * The address to which a device sends its requests. Tests change it to move the device to another node or to a
 * restarted node.
 */
export type Route = { url: string };

/**
 * A device that uses the client package, with its own session, storage and network. The network can be down, lose and
 * delay responses, respond with a web page like a captive portal, and break streams.
 */
export class Device {
  readonly person: Person;
  readonly route: Route;
  readonly stored = new Map<string, string>();
  readonly sent: Sent[] = [];
  readonly trouble: Trouble = { isOffline: false, lostAnswers: 0, slowAnswers: 0, portals: 0 };
  client: Client;
  #kill: () => void = () => {};
  #held: { onCaught: () => void; released: Promise<void> } | null = null;
  readonly #streams = new Set<AbortController>();

  constructor(person: Person, route: Route) {
    this.person = person;
    this.route = route;
    this.client = this.#create();
  }

  /** Signs in, and resolves once the client is live. */
  async open(): Promise<void> {
    await this.client.signIn(this.person);
    await this.client.start();
  }

  /** Kills the app, and starts it again with the data that it had stored. */
  async restart(): Promise<void> {
    const killed = this.client;
    this.#kill();
    for (const sent of this.sent) if (sent.outcome === 'waiting') sent.outcome = 'kept';
    await killed.stop();
    this.client = this.#create();
    await this.client.start();
  }

  /** Whether messages are waiting to be sent. */
  get isSending(): boolean {
    return (
      this.sent.some(({ outcome }) => outcome === 'waiting') ||
      [...this.stored.keys()].some((key) => key.endsWith('outbox'))
    );
  }

  send(chatId: string, content: string): void {
    const sent: Sent = { content, outcome: 'waiting' };
    this.sent.push(sent);
    void this.client.sendMessage(chatId, { content }).then(
      (message) => Object.assign(sent, { outcome: 'sent', message }),
      (error: unknown) => {
        if (sent.outcome !== 'kept') sent.outcome = outcomeOf(error);
      },
    );
  }

  /** Holds back the next page of messages until `release` is called. `caught` resolves once the server has answered. */
  holdPage(): { caught: Promise<void>; release: () => void } {
    const [caught, released] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    this.#held = { onCaught: caught.resolve, released: released.promise };
    return { caught: caught.promise, release: released.resolve };
  }

  goOffline(): void {
    this.trouble.isOffline = true;
    this.cut();
  }

  goOnline(): void {
    this.trouble.isOffline = false;
    this.client.reconnect();
  }

  /** Breaks the open stream. */
  cut(): void {
    for (const stream of this.#streams) stream.abort();
  }

  #create(): Client {
    let isAlive = true;
    this.#kill = () => {
      isAlive = false;
      this.cut();
    };
    const store: KeyValueStore = {
      get: async (key) => this.stored.get(key),
      set: async (key, value) => void (isAlive && this.stored.set(key, value)),
      delete: async (key) => void (isAlive && this.stored.delete(key)),
    };
    return createClient({
      url: 'http://parley.test',
      persistence: store,
      fetch: (...request) => (isAlive ? this.#fetch(...request) : Promise.reject(new TypeError('killed'))),
      onRefused: ({ content, error }) => {
        for (const sent of this.sent) if (sent.content === content) sent.outcome = outcomeOf(error);
      },
    });
  }

  async #fetch(...[input, init = {}]: Parameters<typeof fetch>): Promise<Response> {
    const { trouble } = this;
    if (trouble.isOffline) throw new TypeError('fetch failed');
    if (trouble.portals > 0) {
      trouble.portals -= 1;
      return new Response('<!doctype html>Please sign in', { headers: { 'content-type': 'text/html' } });
    }
    if (typeof input !== 'string') throw new Error('the client names its URLs');
    const url = input.replace('http://parley.test', this.route.url);
    const isStream = new Headers(init.headers).get('accept') === 'text/event-stream';
    const abort = new AbortController();
    if (isStream) this.#streams.add(abort);
    init.signal?.addEventListener('abort', () => abort.abort());
    const response = await fetch(url, { ...init, signal: abort.signal });
    if (isStream) return response;
    if (this.#held !== null && typeof init.body === 'string' && init.body.includes('page:')) {
      const held = this.#held;
      this.#held = null;
      const text = await response.text();
      held.onCaught();
      await held.released;
      return new Response(text, { status: response.status, headers: response.headers });
    }
    if (trouble.slowAnswers > 0) {
      trouble.slowAnswers -= 1;
      const text = await response.text();
      await new Promise((resolve) => setTimeout(resolve, 150));
      return new Response(text, { status: response.status, headers: response.headers });
    }
    if (trouble.lostAnswers > 0) {
      trouble.lostAnswers -= 1;
      await response.text();
      throw new TypeError('fetch failed');
    }
    return response;
  }
}

/** The actions that one store has applied since its creation. Applying them again leads to the same state. */
export type Trace = { store: Store; actions: Action[] };

/** Records every action of every store from now on until `end`. */
export function recordStores(): { traces: Trace[]; end: () => void } {
  const traces: Trace[] = [];
  const original = Object.getOwnPropertyDescriptor(Store.prototype, 'dispatch') ?? {};
  const dispatch: (this: Store, action: Action) => void = original.value;
  const record = function (this: Store, action: Action) {
    let trace = traces.find(({ store }) => store === this);
    if (trace === undefined) traces.push((trace = { store: this, actions: [] }));
    trace.actions.push(action);
    dispatch.call(this, action);
  };
  Object.defineProperty(Store.prototype, 'dispatch', { ...original, value: record });
  return { traces, end: () => Object.defineProperty(Store.prototype, 'dispatch', original) };
}
