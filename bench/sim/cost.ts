import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/** What the individual parts cost, in ms of CPU time unless stated otherwise. */
export type Costs = {
  /** Sending a message and committing a group, on the node that receives the messages. */
  sendNode: { commit: number; message: number };
  /** The same costs on PostgreSQL, not counting reads of the log. */
  sendPostgres: { commit: number; message: number };
  /** How long a commit delays other commits that notify. */
  commitLock: number;
  /** Reading the log and passing events on, including events that do not concern the node. */
  readNode: { batch: number; event: number };
  readPostgres: { batch: number; event: number };
  /** Executing the subscription for an event, without writing the result. */
  renderNode: { batch: number; event: number };
  /** Reading the rows that the subscription selects. */
  renderPostgres: { batch: number; event: number };
  /** Writing a frame to a stream, and writing each further event in the same write. */
  write: number;
  writeMore: number;
  /** Opening a stream that resumes from a cursor. */
  connectNode: number;
  connectPostgres: number;
  /** Sending one event of a replay. */
  replayNode: number;
  replayPostgres: number;
  /** In bytes. */
  streamBytes: number;
  redis: { message: number; receiver: number };
  publish: number;
  receive: number;
};

/** Where each number comes from: file, table, row and column. */
export type Source = { what: string; value: string; from: string };

type Table = { title: string; columns: string[]; rows: (string | number)[][]; notes: string[] };

const folder = join(import.meta.dirname, '../results');

/**
 * Commits that notify run one after the other: 2,000 a second on the benchmark machine (docs/architecture.md, "Ids are
 * in commit order").
 */
const commitLock = 0.5;
/**
 * How many messages a commit of bench:send contains: one message from most of the 64 senders, all of which wait for
 * their answers.
 */
const sendBatch = 50;

/**
 * Derives the costs from bench/results: from delivery.json and send.json, and from parts.json for costs that the other
 * two do not separate. Throws if a figure is missing.
 */
export function readCosts(): { costs: Costs; sources: Source[] } {
  const sources: Source[] = [];
  const cell: Cell = (file, title, row, column) => {
    const value = findCell(file, title, row, column);
    const from = `${file}.json, "${title}"${row === null ? '' : `, ${row}`}`;
    sources.push({ what: column, value: value.toLocaleString('en'), from });
    return value;
  };
  const write = readWrite(cell);
  const node = readNodeParts(cell, write.write);
  const postgres = readPostgresParts(cell);
  const connect = (part: string) => cell('parts', 'Opening a stream', 'with a cursor, nothing missed', part) / 1_000;
  const redis = (part: string, per: string) => cell('parts', 'A message over Redis', part, `µs per ${per}`) / 1_000;
  const memory = "Memory: growth of the server's RSS with 5,000 idle streams";
  const costs: Costs = {
    ...write,
    ...node,
    ...postgres,
    commitLock,
    connectNode: connect('node, µs'),
    connectPostgres: connect('PostgreSQL, µs'),
    replayNode: node.readNode.event + node.renderNode.event,
    replayPostgres: postgres.readPostgres.event + postgres.renderPostgres.event,
    streamBytes: 1_000 * cell('delivery', memory, 'parley', 'left alone, KB per stream'),
    redis: { message: redis('Redis', 'message'), receiver: redis('Redis', 'message and receiver') },
    publish: redis('publisher', 'message'),
    receive: redis('receiver', 'message and receiver'),
  };
  return { costs, sources };
}

type Cell = (file: string, title: string, row: string | null, column: string) => number;

/**
 * A write of 20 events costs 20 times the figure for bursts, and a write of one event costs the figure for single
 * events.
 */
function readWrite(cell: Cell): Pick<Costs, 'write' | 'writeMore'> {
  const title = 'Fan-out to 1,000 subscribers of one chat: CPU time of the server';
  const single = cell('delivery', title, 'parley', 'one at a time, µs per delivery') / 1_000;
  const burst = cell('delivery', title, 'parley', 'bursts of 20, µs per delivery') / 1_000;
  const writeMore = Math.max(0, (20 * burst - single) / 19);
  return { write: single - writeMore, writeMore };
}

const replayTitle = 'Replay: one reader who missed 50,000 messages';

/**
 * A replay reads and renders events in large batches, so it shows what one event costs. A message that is sent alone
 * also bears the cost of a whole batch. parts.json gives the share of both costs that remains for an event that
 * concerns no one on the node.
 */
function readNodeParts(cell: Cell, write: number): Pick<Costs, 'readNode' | 'renderNode' | 'sendNode'> {
  const event = cell('delivery', replayTitle, null, 'CPU of the server, µs per event') / 1_000;
  const alone =
    cell('delivery', 'Selective: messages to 50 chats of 4', '200', 'CPU of the server, µs per message') / 1_000;
  const batch = alone - event - 4 * write;
  const read = splitOff(cell, 'node', { batch, event });
  const sent = cell('send', sendTitle, 'parley', 'server CPU ms each');
  // Each message of bench:send is also delivered to one stream.
  const message = sent - event - write - batch / sendBatch;
  return { ...{ readNode: read.read, renderNode: read.render }, sendNode: { commit: 0, message } };
}

const sendTitle = 'Sending: 64 senders, 50 chats with a subscriber each';

/**
 * The same costs for PostgreSQL. Transactions with few messages show the cost of a commit, and transactions with many
 * show the cost of a message.
 */
function readPostgresParts(cell: Cell): Pick<Costs, 'readPostgres' | 'renderPostgres' | 'sendPostgres'> {
  const title = 'From commit to frame, 100 subscribers';
  const [rate, perCommit] = [1_000, cell('delivery', title, '1,000', 'messages per transaction')];
  const whole = (10 * perCommit * cell('delivery', title, '1,000', 'CPU of PostgreSQL')) / rate;
  const event = cell('delivery', replayTitle, null, 'CPU of PostgreSQL, µs per event') / 1_000;
  const many = sendBatch * cell('send', sendTitle, 'parley', 'database CPU ms each');
  const message = (many - whole) / (sendBatch - perCommit) - event;
  const fixed = whole - perCommit * (message + event);
  const { read, render } = splitOff(cell, 'PostgreSQL', { batch: Math.max(0, fixed - commitLock), event });
  return { readPostgres: read, renderPostgres: render, sendPostgres: { commit: Math.min(fixed, commitLock), message } };
}

type Part = { batch: number; event: number };

/** For a node that an event concerns, splits the event's cost into reading, which every node does, and rendering. */
function splitOff(cell: Cell, what: string, { batch, event }: Part): { read: Part; render: Part } {
  const share = (per: string) => {
    const [none, one] = ['no stream', 'one stream'].map((place) =>
      cell('parts', 'Following the log', `its chat has ${place} on the node`, `${what}, µs per ${per}`),
    );
    return one === undefined || none === undefined || one === 0 ? 1 : Math.min(1, none / one);
  };
  const [ofBatch, ofEvent] = [share('batch'), share('message')];
  return {
    read: { batch: batch * ofBatch, event: event * ofEvent },
    render: { batch: batch * (1 - ofBatch), event: event * (1 - ofEvent) },
  };
}

/**
 * Reads a number from a table of a results file. `row` is the beginning of the row's first cell; null means the first
 * row.
 */
export function findCell(file: string, title: string, row: string | null, column: string): number {
  const { reports } = JSON.parse(readFileSync(join(folder, `${file}.json`), 'utf8')) as { reports: Table[] };
  const report = reports.find((some) => some.title === title);
  const index = report?.columns.indexOf(column) ?? -1;
  const found = row === null ? report?.rows[0] : report?.rows.find(([first]) => String(first).startsWith(row));
  const value = Number.parseFloat(String(found?.[index] ?? '').replaceAll(',', ''));
  if (index === -1 || Number.isNaN(value)) throw new Error(`${file}.json has no "${column}" in "${title}"`);
  return value;
}
