import { subjectsOf, type Circles } from './acquaintance.ts';
import { idsIn, numberIn, type LoggedEvent } from '../log/event.ts';
import type { Listener } from './listener.ts';
import type { LogReader, Membership, Snapshot } from '../log/log-reader.ts';

/** What the hub reads from the log. */
export type HubLog = {
  readSnapshot: (reader: LogReader) => Promise<Snapshot>;
  /** Where the log ends, and whether that key of the server is live. */
  readServerSnapshot: (keyId: bigint) => Promise<Pick<Snapshot, 'head' | 'isSessionLive'>>;
  readAddedMembers: (
    events: readonly LoggedEvent[],
    userIds: readonly bigint[],
  ) => Promise<(Membership & { userId: bigint })[]>;
  readCircles: (userIds: readonly bigint[]) => Promise<Circles>;
  readRecipients: (
    eventIds: readonly bigint[],
    userIds: readonly bigint[],
  ) => Promise<{ eventId: bigint; userId: bigint }[]>;
};

/** Learns from the hub which streams come and go. */
export type HubAttendance = {
  arrive: (listener: Listener) => void;
  depart: (listener: Listener) => void;
};

/** What the hub must know about a batch of events before it can pass the batch on. */
export type Known = {
  added: (Membership & { userId: bigint })[];
  circles: Circles;
  recipients: { eventId: bigint; userId: bigint }[];
};

/** Reads the facts with at most one statement for each kind, and only for people with streams on this node. */
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
  return { added, circles, recipients };
}

/** The memberships that start in this batch. */
async function readAdded(
  log: HubLog,
  events: readonly LoggedEvent[],
  people: ReadonlyMap<bigint, unknown>,
): Promise<Known['added']> {
  const here = new Set<bigint>();
  const beginnings = events.filter(({ kind }) => kind === 'NewChat' || kind === 'AddToChat');
  const about = beginnings.filter((event) => {
    const listed = idsIn(event, 'user_ids');
    const isWhole = numberIn(event, 'added_count') <= listed.length;
    const present = (isWhole ? listed : [...people.keys()]).filter((userId) => people.has(userId));
    for (const userId of present) here.add(userId);
    return present.length > 0;
  });
  return about.length === 0 ? [] : log.readAddedMembers(about, [...here]);
}

/**
 * The chats of the people whose acquaintances are to receive an event; the people themselves need not be on this
 * node.
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
 * The recipients of chat deletions, including members who connected after the deletion was committed: the hub never saw
 * them in the chat.
 */
async function readRecipients(
  log: HubLog,
  events: readonly LoggedEvent[],
  people: ReadonlyMap<bigint, unknown>,
): Promise<Known['recipients']> {
  const deletions = events.filter(({ kind }) => kind === 'ChatDeleted').map(({ id }) => id);
  return deletions.length === 0 ? [] : log.readRecipients(deletions, [...people.keys()]);
}
