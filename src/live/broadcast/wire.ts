import { Buffer } from 'node:buffer';
import { deserialize, serialize } from 'node:v8';
import type { Known } from '../hub-log.ts';
import type { Audience, LoggedEvent } from '../../log/event.ts';

/**
 * The version of the messages between nodes. Nodes with different versions, as during a rolling upgrade, ignore each
 * other's messages and read the log.
 */
const protocol = 2;

/**
 * The header of a batch. It states that `events` and the pieces of `shards` together contain all events in (after,
 * through]. Every node receives the header.
 */
export type Header = {
  /** A number that increases with each new publisher. */
  term: bigint;
  after: bigint;
  through: bigint;
  /** Whether `through` was the end of the log at `readAt`. */
  isEnd: boolean;
  /** When the publisher queried PostgreSQL, in ms of the publisher's monotonic clock. */
  readAt: number;
  /** The shards that have events in this batch. */
  shards: readonly number[];
  /** The events that every node receives. */
  events: readonly LoggedEvent[];
  /** The facts that the hub needs about the events; null if each node has to read them itself. */
  known: Known | null;
  /** How many notices have been sent in this term. If fewer have arrived, some have been lost. */
  noticeCount: number;
};

/** A PostgreSQL notification that the publisher passes on to the nodes that do not listen. */
export type Notice = {
  term: bigint;
  /** The number of the notice within its term, counted from 1. Some numbers may be skipped. */
  number: number;
  /** The log position that a node must have reached before it acts on the notice. */
  place: bigint;
  channel: string;
  payload: string;
};

/** The events of one shard in one batch. The term and the position where the batch ends identify the batch. */
export type Piece = {
  term: bigint;
  through: bigint;
  events: readonly LoggedEvent[];
  /** The rows that some of the events are about, by event id. */
  rows: ReadonlyMap<bigint, unknown>;
};

/**
 * The maximum length of the rows in a piece, in characters. If a piece has no rows, each node reads the rows that it
 * needs.
 */
const maxRowsLength = 1024 * 1024;

// Ids are strings in JSON, because they may exceed the range of a JSON number.
type EventRow = [
  id: string,
  at: number,
  kind: string,
  audience: Audience,
  chatId: string | null,
  userId: string | null,
  actorId: string | null,
  messageId: string | null,
  seq: number | null,
  version: number | null,
  detail: Record<string, unknown> | null,
];
type KnownRows = {
  added: [chatId: string, userId: string, since: string, visibleFrom: number, isWhole: boolean][];
  circles: [userId: string, chatIds: string[]][];
  recipients: [eventId: string, userIds: string[]][];
};
type HeaderRow = [
  protocol: number,
  term: string,
  after: string,
  through: string,
  isEnd: boolean,
  readAt: number,
  shards: number[],
  events: EventRow[],
  known: KnownRows | null,
  noticeCount: number,
];
type NoticeRow = [
  protocol: number,
  kind: 'NOTICE',
  term: string,
  number: number,
  place: string,
  channel: string,
  payload: string,
];
type PieceRow = [protocol: number, term: string, through: string, events: EventRow[], rows: string | null];

/** Encodes a header as a message. */
export function encodeHeader(header: Header): string {
  const { term, after, through, isEnd, readAt, shards, events, known, noticeCount } = header;
  const row: HeaderRow = [
    protocol,
    String(term),
    String(after),
    String(through),
    isEnd,
    readAt,
    [...shards],
    events.map(toRow),
    known && toKnownRows(known),
    noticeCount,
  ];
  return JSON.stringify(row);
}

/** Decodes a header; returns null for a message that was not written by a publisher of this version. */
export function decodeHeader(text: string): Header | null {
  return decode(
    text,
    ([, term, after, through, isEnd, readAt, shards, events, known, noticeCount]: HeaderRow): Header => ({
      term: BigInt(term),
      after: BigInt(after),
      through: BigInt(through),
      isEnd,
      readAt,
      shards,
      events: events.map(toEvent),
      known: known && toKnown(known),
      noticeCount,
    }),
  );
}

/** Encodes a notice as a message. */
export function encodeNotice({ term, number, place, channel, payload }: Notice): string {
  const row: NoticeRow = [protocol, 'NOTICE', String(term), number, String(place), channel, payload];
  return JSON.stringify(row);
}

/** Decodes a notice; returns null for any other message. */
export function decodeNotice(text: string): Notice | null {
  if (!text.startsWith(`[${protocol},"NOTICE"`)) return null;
  return decode(text, ([, , term, number, place, channel, payload]: NoticeRow): Notice => ({
    term: BigInt(term),
    number,
    place: BigInt(place),
    channel,
    payload,
  }));
}

/** Encodes a piece as a message. */
export function encodePiece({ term, through, events, rows }: Piece): string {
  const row: PieceRow = [protocol, String(term), String(through), events.map(toRow), encodeRows(rows)];
  return JSON.stringify(row);
}

/** Decodes a piece; returns null for a message that was not written by a publisher of this version. */
export function decodePiece(text: string): Piece | null {
  return decode(text, ([, term, through, events, rows]: PieceRow): Piece => ({
    term: BigInt(term),
    through: BigInt(through),
    events: events.map(toEvent),
    rows: rows === null ? new Map() : decodeRows(rows),
  }));
}

/**
 * Encodes the rows in V8's format instead of JSON, because that format preserves ids, times and bytes, and stores a
 * sender or chat that several events share only once.
 */
function encodeRows(rows: ReadonlyMap<bigint, unknown>): string | null {
  if (rows.size === 0) return null;
  const text = serialize(rows).toString('base64');
  return text.length > maxRowsLength ? null : text;
}

function decodeRows(text: string): ReadonlyMap<bigint, unknown> {
  const rows: unknown = deserialize(Buffer.from(text, 'base64'));
  if (!(rows instanceof Map)) throw new TypeError('rows are not a map');
  return rows;
}

/**
 * Parses the JSON of a message and reads its values. Returns null for anything that was not written by a publisher of
 * this version.
 */
function decode<Value>(text: string, read: (row: never) => Value): Value | null {
  try {
    const row: unknown = JSON.parse(text);
    return Array.isArray(row) && row[0] === protocol ? read(row as never) : null;
  } catch {
    return null;
  }
}

function toRow(event: LoggedEvent): EventRow {
  const { id, at, kind, audience, chatId, userId, actorId, messageId, seq, version, detail } = event;
  return [
    String(id),
    at.getTime(),
    kind,
    audience,
    toText(chatId),
    toText(userId),
    toText(actorId),
    toText(messageId),
    seq,
    version,
    detail,
  ];
}

function toEvent(row: EventRow): LoggedEvent {
  const [id, at, kind, audience, chatId, userId, actorId, messageId, seq, version, detail] = row;
  return {
    id: BigInt(id),
    at: new Date(at),
    kind,
    audience,
    chatId: toId(chatId),
    userId: toId(userId),
    actorId: toId(actorId),
    messageId: toId(messageId),
    seq,
    version,
    detail,
  };
}

function toText(id: bigint | null): string | null {
  return id === null ? null : String(id);
}

function toId(text: string | null): bigint | null {
  return text === null ? null : BigInt(text);
}

function toKnownRows({ added, circles, recipients }: Known): KnownRows {
  return {
    added: [...added.values()].flatMap((members) =>
      members.map(({ chatId, userId, since, visibleFrom, isWhole }): KnownRows['added'][number] => [
        String(chatId),
        String(userId),
        String(since),
        visibleFrom,
        isWhole,
      ]),
    ),
    circles: [...circles].map(([userId, chatIds]) => [String(userId), chatIds.map(String)]),
    recipients: [...recipients].map(([eventId, userIds]) => [String(eventId), userIds.map(String)]),
  };
}

function toKnown({ added, circles, recipients }: KnownRows): Known {
  const members = added.map(([chatId, userId, since, visibleFrom, isWhole]) => ({
    chatId: BigInt(chatId),
    userId: BigInt(userId),
    since: BigInt(since),
    visibleFrom,
    isWhole,
  }));
  return {
    added: Map.groupBy(members, ({ since }) => since),
    circles: new Map(circles.map(([userId, chatIds]) => [BigInt(userId), chatIds.map(BigInt)])),
    recipients: new Map(recipients.map(([eventId, userIds]) => [BigInt(eventId), userIds.map(BigInt)])),
  };
}
