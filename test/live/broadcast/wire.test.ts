import { expect, test } from 'vitest';
import { Freshness } from '../../../src/live/broadcast/freshness.ts';
import { Inbox } from '../../../src/live/broadcast/inbox.ts';
import { Interest } from '../../../src/live/broadcast/interest.ts';
import { NoticeCounter } from '../../../src/live/broadcast/notice-counter.ts';
import { shardOf, shardOfEvent } from '../../../src/live/broadcast/shard.ts';
import {
  decodeHeader,
  decodeNotice,
  decodePiece,
  encodeHeader,
  encodeNotice,
  encodePiece,
  type Header,
} from '../../../src/live/broadcast/wire.ts';
import type { LoggedEvent } from '../../../src/log/event.ts';

const large = 9_223_372_036_854_775_807n;
const event: LoggedEvent = {
  id: large,
  at: new Date(1_700_000_000_123),
  kind: 'NewMessage',
  audience: 'CHAT',
  chatId: large - 1n,
  userId: null,
  actorId: 7n,
  messageId: large - 2n,
  seq: 5,
  version: 1,
  detail: { mentioned: ['12'] },
};
const header: Header = {
  term: 3n,
  after: 1n,
  through: large,
  isEnd: true,
  readAt: 123.5,
  shards: [0, 255],
  events: [event],
  known: {
    added: new Map([[9n, [{ chatId: 1n, userId: 2n, since: 9n, visibleFrom: 4, isWhole: true }]]]),
    circles: new Map([[5n, [large]]]),
    recipients: new Map([[6n, [7n, 8n]]]),
  },
  noticeCount: 12,
};

test('headers and pieces arrive as they were sent, whatever the size of their ids', () => {
  expect(decodeHeader(encodeHeader(header))).toEqual(header);
  expect(decodeHeader(encodeHeader({ ...header, known: null }))).toEqual({ ...header, known: null });
  const rows = new Map([[large, { id: large, at: new Date(5), bytes: Uint8Array.of(0, 255), custom: { n: '1n' } }]]);
  const piece = { term: 3n, through: large, events: [event], rows };
  expect(decodePiece(encodePiece(piece))).toEqual(piece);
  expect(decodePiece(encodePiece({ ...piece, rows: new Map() }))?.rows).toEqual(new Map());
  const notice = { term: 3n, number: 1, place: large, channel: 'parley_typing', payload: '1.2' };
  expect(decodeNotice(encodeNotice(notice))).toEqual(notice);
  expect(decodeHeader(encodeNotice(notice))).toBeNull();
  expect(decodeNotice(encodeHeader(header))).toBeNull();
});

test('a piece leaves out rows that are longer than a million characters', () => {
  const rows = new Map([[large, 'x'.repeat(1_000_000)]]);
  expect(decodePiece(encodePiece({ term: 3n, through: large, events: [event], rows }))).toMatchObject({
    events: [event],
    rows: new Map(),
  });
});

test('rows that were read seconds before a node receives them are not shown', () => {
  const inbox = new Inbox();
  const receive = (through: bigint, readAt: number) => {
    const piece = { term: 1n, through, events: [{ ...event, id: through }], rows: new Map([[through, 'a row']]) };
    inbox.addPiece(5, encodePiece(piece));
    const sent = { ...header, term: 1n, after: through - 1n, through, readAt, shards: [5], events: [], known: null };
    inbox.addHeader(encodeHeader(sent));
    const next = inbox.next(through - 1n);
    if (next === null) throw new Error('the header did not arrive');
    const [shared] = inbox.eventsOf(next, through - 1n, [5])?.map((each) => each.shared) ?? [];
    inbox.drop(next);
    return (shared?.until ?? 0) - performance.now();
  };
  expect(receive(10n, performance.now())).toBeGreaterThan(1_000);
  expect(receive(11n, performance.now() - 1_500)).toBeLessThan(600);
  expect(receive(12n, performance.now() - 20_000)).toBeLessThan(0);
});

test('a node learns from the numbers of notices, and from headers, that some were lost', () => {
  const counter = new NoticeCounter();
  expect(counter.hasAll(1n, 0)).toBe(false);
  expect(counter.hasAll(1n, 0)).toBe(true);
  expect(counter.receive(1n, 1)).toBe('NEXT');
  expect(counter.receive(1n, 1)).toBe('OLD');
  expect(counter.receive(1n, 3)).toBe('AFTER_GAP');
  expect(counter.hasAll(1n, 3)).toBe(true);
  expect(counter.hasAll(1n, 4)).toBe(false);
  expect(counter.receive(2n, 1)).toBe('AFTER_GAP');
  expect(counter.receive(1n, 5)).toBe('OLD');
  expect(counter.hasAll(2n, 1)).toBe(true);
});

test('a message that no publisher of this version wrote counts as lost', () => {
  const newer = encodeHeader(header).replace(/^\[\d+/, '[999');
  for (const text of ['', '{}', '[]', '[1]', '[1,"x","1","1",[]]', '[1,"1","1","1",[["x"]]]', newer]) {
    expect(decodeHeader(text)).toBeNull();
    expect(decodePiece(text)).toBeNull();
  }
});

test('events that change who receives others go to every node, and the rest to the shard of its chat or user', () => {
  expect(shardOfEvent(event)).toBe(shardOf(large - 1n));
  const read = { ...event, kind: 'ReadMarkerMoved', audience: 'PERSON' as const, userId: 300n };
  expect(shardOfEvent(read)).toBe(shardOf(300n));
  for (const kind of ['NewChat', 'AddToChat', 'RemoveFromChat', 'ChatDeleted', 'ChatUpdated', 'SessionEnded']) {
    expect(shardOfEvent({ ...event, kind })).toBeNull();
  }
  expect(shardOfEvent({ ...event, kind: 'UserUpdated', audience: 'ACQUAINTANCES' })).toBeNull();
  expect(shardOfEvent({ ...event, audience: 'CHAT_AND_PERSON' })).toBeNull();
});

test('a shard concerns a node from its first room or user to its last, or while it serves the whole server', () => {
  const interest = new Interest();
  const changes: string[] = [];
  interest.onChange = (shard) => changes.push(`${shard} ${interest.has(shard)}`);
  interest.add(3);
  interest.add(3);
  interest.remove(3);
  expect(changes).toEqual(['3 true']);
  interest.needAll(1);
  expect(changes).toHaveLength(256);
  expect(interest.has(200)).toBe(true);
  interest.remove(3);
  interest.needAll(0);
  expect(interest.has(3)).toBe(false);
  expect(changes).toHaveLength(512);
});

test('a message that waited somewhere does not count as current, and a clock that stopped is forgotten in time', () => {
  const freshness = new Freshness();
  const excess = (readAt: number, receivedAt: number, term = 1n) => freshness.excessOf({ term, readAt, receivedAt });
  expect(excess(1_000, 51_010)).toBe(0);
  expect(excess(2_000, 52_005)).toBe(0);
  expect(excess(3_000, 83_005)).toBeGreaterThan(29_000);
  expect(excess(84_000, 134_005)).toBeLessThan(100);
  // Another publisher has a different clock.
  expect(excess(5, 200_000, 2n)).toBe(0);
  // The publisher's clock stood still for 30 s. After some hours, its messages count as current again.
  for (let hour = 1; hour <= 10; hour += 1) excess(hour * 3_600_000, 230_000 + hour * 3_600_000, 2n);
  expect(excess(11 * 3_600_000, 230_000 + 11 * 3_600_000, 2n)).toBeLessThan(1);
});
