import { subscription } from './document.ts';
import { Reader } from './reader.ts';
import { now } from './raw-http.ts';
import { serve } from './remote.ts';
import { percentile } from './statistic.ts';

/**
 * Where to subscribe, and with which tokens: one subscriber per entry of `tokens`, or `count` subscribers without a
 * token.
 */
export type Crowd = {
  port: number;
  /** The ports of the nodes, if the subscribers are spread over several nodes. */
  ports?: number[];
  path: string;
  count: number;
  tokens?: string[];
  sendsCaughtUp: boolean;
  /**
   * Whether the server may deliver messages out of order. If so, late messages are counted; otherwise, a late message
   * is a failure.
   */
  isUnordered?: boolean;
  /** The cursor from which all streams resume, or one cursor for each stream. */
  after?: string;
  afters?: string[];
};

/** How many streams are being opened at the same time. */
const opening = 50;
const openTimeoutMs = 120_000;

type Group = {
  readers: Reader[];
  messages: number;
  failure: string | null;
  waiting: { messages: number; resolve: () => void; reject: (error: Error) => void } | null;
  arrivals: { firstSeq: number; times: Float64Array } | null;
};

const groups = new Map<string, Group>();

/** Runs subscribers in a separate process, so that their CPU time is not attributed to any server. */
const methods = {
  /** Resolves when all subscribers in the crowd are subscribed and live. */
  async open({ group: name, crowd }: { group: string; crowd: Crowd }): Promise<void> {
    const group: Group = { readers: [], messages: 0, failure: null, waiting: null, arrivals: null };
    groups.set(name, group);
    const indexes = Array.from({ length: crowd.count }, (_, index) => index);
    const next = indexes.values();
    await Promise.all(
      Array.from({ length: opening }, async () => {
        for (const index of next) await openReader(group, crowd, index, crowd.afters?.[index] ?? crowd.after ?? null);
      }),
    );
  },

  /** Resolves when the group's readers have together received `messages` messages since the group opened. */
  async reached({ group: name, messages }: { group: string; messages: number }): Promise<void> {
    const group = find(name);
    if (group.failure !== null) throw new Error(group.failure);
    if (group.messages < messages) {
      await new Promise<void>((resolve, reject) => (group.waiting = { messages, resolve, reject }));
    }
    if (group.messages > messages) throw new Error(`${messages} messages were sent, but ${group.messages} arrived`);
  },

  /** Returns how many messages reached a subscriber after a message that was sent later. */
  countLate({ group: name }: { group: string }): number {
    return find(name).readers.reduce((count, { lateCount }) => count + lateCount, 0);
  },

  /** From now on, records the time at which each of these messages reaches each reader. */
  record({ group: name, firstSeq, count }: { group: string; firstSeq: number; count: number }): void {
    const group = find(name);
    group.arrivals = { firstSeq, times: new Float64Array(count * group.readers.length) };
  },

  /** Returns percentiles, in ms, of the time from `stamps` to the arrival, over all messages and readers. */
  latencies({ group: name, stamps }: { group: string; stamps: number[] }): { p50: number; p99: number; max: number } {
    const { arrivals, readers } = find(name);
    if (arrivals === null) throw new Error('nothing was recorded');
    const latencies = arrivals.times.map((time, index) => time - (stamps[Math.floor(index / readers.length)] ?? 0));
    return { p50: percentile(latencies, 50), p99: percentile(latencies, 99), max: percentile(latencies, 100) };
  },

  /**
   * Subscribes once, either with a cursor (as a reconnecting client does) or without one. Resolves once the subscriber
   * has caught up.
   */
  async replay({ crowd, after }: { crowd: Crowd; after: string | null }) {
    const group: Group = { readers: [], messages: 0, failure: null, waiting: null, arrivals: null };
    const startedAt = now();
    const { reader, frame } = await openReader(group, crowd, 0, after);
    const ms = now() - startedAt;
    reader.close();
    return { ms, messages: group.messages, bytes: reader.bytes, cursor: /"cursor":"([^"]+)"/.exec(frame)?.[1] ?? '' };
  },

  close({ group: name }: { group: string }): void {
    for (const reader of find(name).readers) reader.close();
    groups.delete(name);
  },
};

/** The methods that another process can call on this one. */
export type LoadMethods = typeof methods;

function openReader(group: Group, crowd: Crowd, index: number, after: string | null = null) {
  return new Promise<{ reader: Reader; frame: string }>((resolve, reject) => {
    const timeout = setTimeout(() => reject(new Error('a stream did not open')), openTimeoutMs);
    const opened = (reader: Reader, frame: string) => {
      clearTimeout(timeout);
      resolve({ reader, frame });
    };
    group.readers[index] = new Reader({
      index,
      port: crowd.ports?.[index % crowd.ports.length] ?? crowd.port,
      isUnordered: crowd.isUnordered ?? false,
      request: toRequest(crowd, crowd.tokens?.[index], after),
      events: {
        onOpen: (reader) => {
          if (!crowd.sendsCaughtUp) opened(reader, '');
        },
        onCaughtUp: (reader, frame) => opened(reader, frame()),
        onMessage: (reader, seq) => take(group, reader, seq),
        onClose: (_, reason) => {
          clearTimeout(timeout);
          reject(new Error(reason));
          group.failure ??= reason;
          group.waiting?.reject(new Error(reason));
        },
      },
    });
  });
}

function take(group: Group, reader: Reader, seq: number): void {
  group.messages += 1;
  const { arrivals, waiting } = group;
  if (arrivals !== null) arrivals.times[(seq - arrivals.firstSeq) * group.readers.length + reader.index] = now();
  if (waiting !== null && group.messages >= waiting.messages) {
    group.waiting = null;
    waiting.resolve();
  }
}

function toRequest({ path }: Crowd, token: string | undefined, after: string | null): string {
  const body = JSON.stringify({ query: subscription, variables: { after } });
  return [
    `POST ${path} HTTP/1.1`,
    'host: localhost',
    'accept: text/event-stream',
    'content-type: application/json',
    `content-length: ${Buffer.byteLength(body)}`,
    ...(token === undefined ? [] : [`authorization: Bearer ${token}`]),
    '',
    body,
  ].join('\r\n');
}

function find(name: string): Group {
  const group = groups.get(name);
  if (group === undefined) throw new Error(`there is no group ${name}`);
  return group;
}

serve(methods);
