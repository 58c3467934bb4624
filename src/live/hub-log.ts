import { subjectsOf, type Circles } from './acquaintance.ts';
import { idsIn, numberIn, type LoggedEvent } from '../log/event.ts';
import type { Listener } from './listener.ts';
import type { LogReader, Membership, Snapshot } from '../log/event-log.ts';

/** What the hub asks of the log. */
export type HubLog = {
  readSnapshot: (reader: LogReader) => Promise<Snapshot>;
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

/** Whom the hub tells of streams that come and go. */
export type HubAttendance = {
  arrive: (listener: Listener) => void;
  depart: (listener: Listener) => void;
};

/** What has to be known of a batch of events before the hub can pass it on. */
export type Known = {
  added: (Membership & { userId: bigint })[];
  circles: Circles;
  recipients: { eventId: bigint; userId: bigint }[];
};

/** A statement at most for each sort of it, and only for people who are here. */
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

/** The memberships that begin in this batch. */
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

/** The chats of those whose acquaintances are to be told; they themselves need not be here. */
async function readCircles(
  log: HubLog,
  events: readonly LoggedEvent[],
  people: ReadonlyMap<bigint, unknown>,
): Promise<Circles> {
  const subjects = subjectsOf(events);
  return subjects.length === 0 || people.size === 0 ? new Map() : log.readCircles(subjects);
}

/** Whom a chat's deletion is addressed to: also those who came when the hub could not see them in it any more. */
async function readRecipients(
  log: HubLog,
  events: readonly LoggedEvent[],
  people: ReadonlyMap<bigint, unknown>,
): Promise<Known['recipients']> {
  const deletions = events.filter(({ kind }) => kind === 'ChatDeleted').map(({ id }) => id);
  return deletions.length === 0 ? [] : log.readRecipients(deletions, [...people.keys()]);
}
