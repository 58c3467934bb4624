import { subjectsOf, type Circles } from './acquaintance.ts';
import { idsIn, numberIn, type LoggedEvent } from '../log/event.ts';
import type { Listener } from './listener.ts';
import type { AddedMember, AmongUsers, LogReader, Snapshot } from '../log/log-reader.ts';

/** The functions with which the hub reads from the log. */
export type HubLog = {
  readSnapshot: (reader: LogReader) => Promise<Snapshot>;
  /** Reads the position at which the log ends, and whether the server key is live. */
  readServerSnapshot: (keyId: bigint) => Promise<Pick<Snapshot, 'head' | 'isSessionLive'>>;
  /** Reads those memberships of these users that these events began. */
  readAddedMembers: (events: readonly LoggedEvent[], userIds: readonly bigint[]) => Promise<AddedMember[]>;
  readCircles: (userIds: readonly bigint[]) => Promise<Circles>;
  /** Reads the recipients of these events: those in `userIds`, or up to `limit` of all recipients. */
  readRecipients: (eventIds: readonly bigint[], of: AmongUsers) => Promise<{ eventId: bigint; userId: bigint }[]>;
};

/** Receives a call from the hub for each stream that opens or closes. */
export type HubAttendance = {
  arrive: (listener: Listener) => void;
  depart: (listener: Listener) => void;
};

/** The facts that the hub needs about a batch of events before it can pass the batch on. */
export type Known = {
  /** The memberships that each event (NewChat, AddToChat) began and that still exist. */
  added: ReadonlyMap<bigint, readonly AddedMember[]>;
  circles: Circles;
  /** The users who receive each ChatDeleted event although the chat no longer exists. */
  recipients: ReadonlyMap<bigint, readonly bigint[]>;
};

/** The next events from the log. */
export type HubBatch = {
  events: readonly LoggedEvent[];
  /** All events up to this position are in the batch or in the shards that the batch lacks. */
  through: bigint;
  /** The facts that the hub needs about the events, if they have already been read. */
  known?: Known | null;
  /** The shards with events up to `through` that are not in the batch. */
  lacking?: readonly number[];
};

/** Reads the facts about people with streams on this node, with at most one statement for each type of fact. */
export async function readKnown(
  log: HubLog,
  events: readonly LoggedEvent[],
  people: ReadonlyMap<bigint, unknown>,
): Promise<Known> {
  const [added, circles, recipients] = await Promise.all([
    readAdded(log, events, people),
    readCircles(log, events, people),
    readRecipients(log, events, people),
  ]);
  return toKnown(added, circles, recipients);
}

/** Reads the memberships that begin in this batch. */
async function readAdded(
  log: HubLog,
  events: readonly LoggedEvent[],
  people: ReadonlyMap<bigint, unknown>,
): Promise<AddedMember[]> {
  const here = new Set<bigint>();
  const about = beginningsIn(events).filter((event) => {
    const present = (listsAll(event) ? idsIn(event, 'user_ids') : [...people.keys()]).filter((userId) =>
      people.has(userId),
    );
    for (const userId of present) here.add(userId);
    return present.length > 0;
  });
  return about.length === 0 ? [] : log.readAddedMembers(about, [...here]);
}

/**
 * Reads the chats of the people whose acquaintances receive an event. These people need not be connected to this node.
 */
async function readCircles(
  log: HubLog,
  events: readonly LoggedEvent[],
  people: ReadonlyMap<bigint, unknown>,
): Promise<Circles> {
  const subjects = subjectsOf(events);
  return subjects.length === 0 || people.size === 0 ? new Map() : log.readCircles(subjects);
}

/**
 * Reads the recipients of chat deletions. They include members who connected after the deletion was committed. The hub
 * never saw these members in the chat.
 */
async function readRecipients(
  log: HubLog,
  events: readonly LoggedEvent[],
  people: ReadonlyMap<bigint, unknown>,
): Promise<{ eventId: bigint; userId: bigint }[]> {
  const deletions = deletionsIn(events);
  return deletions.length === 0 ? [] : log.readRecipients(deletions, { userIds: [...people.keys()] });
}

/** The maximum number of facts about one batch that a node reads on behalf of all nodes. */
const maxKnown = 2_000;

/**
 * Reads the facts for the users of all nodes. Returns null if there are too many facts. Also returns null if an event
 * does not list all of its users, because finding them would mean reading all members of the chat. Each node then reads
 * only the facts about its own users.
 */
export async function readKnownToAll(log: HubLog, events: readonly LoggedEvent[]): Promise<Known | null> {
  const [beginnings, deletions, subjects] = [beginningsIn(events), deletionsIn(events), subjectsOf(events)];
  const userIds = new Set(beginnings.flatMap((event) => idsIn(event, 'user_ids')));
  if (userIds.size > maxKnown || !beginnings.every(listsAll)) return null;
  const [added, circles, recipients] = await Promise.all([
    beginnings.length === 0 ? [] : log.readAddedMembers(beginnings, [...userIds]),
    subjects.length === 0 ? new Map<bigint, bigint[]>() : log.readCircles(subjects),
    deletions.length === 0 ? [] : log.readRecipients(deletions, { limit: maxKnown + 1 }),
  ]);
  const chats = [...circles.values()].reduce((sum, chatIds) => sum + chatIds.length, 0);
  if (added.length + recipients.length + chats > maxKnown) return null;
  return toKnown(added, circles, recipients);
}

/** Whether the event lists all users whose memberships it began. An event lists at most one hundred users. */
function listsAll(event: LoggedEvent): boolean {
  return numberIn(event, 'added_count') <= idsIn(event, 'user_ids').length;
}

function beginningsIn(events: readonly LoggedEvent[]): LoggedEvent[] {
  return events.filter(({ kind }) => kind === 'NewChat' || kind === 'AddToChat');
}

function deletionsIn(events: readonly LoggedEvent[]): bigint[] {
  return events.filter(({ kind }) => kind === 'ChatDeleted').map(({ id }) => id);
}

function toKnown(
  added: readonly AddedMember[],
  circles: Circles,
  recipients: readonly { eventId: bigint; userId: bigint }[],
): Known {
  const byEvent = Map.groupBy(recipients, ({ eventId }) => eventId);
  return {
    added: Map.groupBy(added, ({ since }) => since),
    circles,
    recipients: new Map([...byEvent].map(([eventId, rows]) => [eventId, rows.map(({ userId }) => userId)])),
  };
}
