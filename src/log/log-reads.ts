import type pg from 'pg';
import { readSnapshots, type LogReader, type Snapshot } from './log-reader.ts';
import {
  readMissed,
  readMissedInChats,
  type MissedChatKey,
  type MissedChatStretch,
  type MissedKey,
  type MissedStretch,
} from './missed-stretch.ts';
import { SharedRead } from '../postgres/shared-read.ts';

/** The maximum number of readers that one statement serves. */
const maxReaders = 32;

/**
 * What streams read from the log when they open and while they catch up. Readers share statements. After a deployment,
 * all clients come back at the same moment and each reads little, so separate statements would cost more than the
 * reading itself (bench:storm).
 */
export class LogReads {
  /** Reads the memberships of a person, and the id of the latest event that they reflect. */
  readonly snapshot: (reader: LogReader) => Promise<Snapshot>;
  /** Reads the ids of the events that a person missed. */
  readonly missed: (key: MissedKey) => Promise<MissedStretch>;
  /** Reads the ids of the events that a person missed in one chat, and whether the person may still see the chat. */
  readonly missedInChat: (key: MissedChatKey) => Promise<MissedChatStretch>;

  constructor(pool: pg.Pool) {
    this.snapshot = share((readers) => readSnapshots(pool, readers));
    this.missed = share((keys) => readMissed(pool, keys));
    this.missedInChat = share((keys) => readMissedInChats(pool, keys));
  }
}

function share<Key, Value>(read: (keys: readonly Key[]) => Promise<Value[]>): (key: Key) => Promise<Value> {
  const shared = new SharedRead<Key, Value, never>(read, { keyOf: (key) => key, maxKeys: maxReaders });
  return async (key) => {
    const { 0: value } = await shared.read([key], () => {});
    if (value instanceof Error) throw value;
    // The loader returns one value for each key.
    return value as Value;
  };
}
