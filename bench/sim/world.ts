import type { Costs } from './cost.ts';
import type { Engine } from './engine.ts';
import type { Station } from './station.ts';

/** What is simulated. */
export type Plan = {
  seed: number;
  nodes: number;
  /** Whether one node reads the log and publishes it over Redis. If not, each node reads the log itself. */
  hasRedis: boolean;
  redisServers: number;
  postgresCores: number;
  streams: number;
  /** How many streams receive each message. */
  audience: number;
  messagesPerSecond: number;
  /** Chats whose streams are simulated one by one; all other streams are idle. */
  chats: number;
  /** The number of senders that wait for each answer before they send again; replaces `messagesPerSecond`. */
  senders?: number;
  /** Whether a writer inserts the messages with SQL, as in bench:delivery, so that sending costs the node nothing. */
  isWrittenBySql?: boolean;
};

/** A message in the log. */
export type Entry = { chat: number; committedAt: number };

/** One stream of a chat, with the index of its node, or -1 while it reconnects. */
export type Place = { chat: number; node: number };

/** The latencies measured since the warm-up, in ms. */
export type Latencies = { frames: number[]; sends: number[]; connects: number[] };

/** The parts of the system that a node needs. */
export type World = {
  readonly engine: Engine;
  readonly plan: Plan;
  readonly costs: Costs;
  readonly postgres: Station;
  /** The lock that PostgreSQL takes for each commit that sends a notification. */
  readonly commits: Station;
  readonly log: readonly Entry[];
  readonly latencies: Latencies;
  /** Whether the warm-up is over. */
  readonly isRecording: boolean;
  deliveries: number;
  append: (chats: readonly number[]) => void;
  publish: (from: number, to: number) => void;
};
