import type pg from 'pg';
import type { LoggedEvent } from '../log/event.ts';
import type { Listener } from './listener.ts';
import type { Person } from './person.ts';
import { addTo, type Audience, type Room } from './room.ts';
import { unnest } from '../postgres/unnest.ts';

/** The current chats of each person; everyone in these chats receives the person's acquaintance events. */
export type Circles = ReadonlyMap<bigint, readonly bigint[]>;

/** Reads the ids of the chats that these people are in: for each person, at most the newest `maxChats`. */
export async function readCircles(pool: pg.Pool, userIds: readonly bigint[], maxChats = 2 ** 31 - 1): Promise<Circles> {
  const { rows } = await pool.query<{ userId: bigint; chatId: bigint }>({
    name: 'circles',
    text: `select person.id as "userId", chat_id as "chatId" from ${unnest('$1::bigint[]')} as person (id)
    cross join lateral (
      select chat_id from members where user_id = person.id order by chat_id desc limit $2
    ) newest`,
    values: [userIds, maxChats],
  });
  const circles = new Map<bigint, bigint[]>();
  for (const { userId, chatId } of rows) {
    const chatIds = circles.get(userId);
    if (chatIds === undefined) circles.set(userId, [chatId]);
    else chatIds.push(chatId);
  }
  return circles;
}

/** Returns the subjects of these events, if the events go to the acquaintances of their subjects. */
export function subjectsOf(events: readonly LoggedEvent[]): bigint[] {
  return events.flatMap(({ audience, userId }) => (audience === 'ACQUAINTANCES' && userId !== null ? [userId] : []));
}

/**
 * Returns, without duplicates, all listeners in these rooms, and the person's own listeners that are not limited to one
 * chat.
 */
export function gatherAcquaintances(rooms: readonly Room[], person: Person | undefined): Audience {
  const listeners = ownListeners(person);
  for (const room of rooms) for (const some of room.everyone().values()) for (const each of some) listeners.add(each);
  return byChannel(listeners);
}

/**
 * The maximum number of people who are considered as receivers of a presence change: in one chat, and in all the chats
 * of one person.
 */
export type WatcherLimits = { perRoom: number; total: number };

/**
 * Returns, without duplicates, the listeners that select presence changes: those of the members of these rooms, and the
 * person's own. Skips rooms with too many people, and adds rooms from the smallest upward until `total` people have
 * been considered.
 */
export function gatherWatchers(
  rooms: readonly Room[],
  person: Person | undefined,
  { perRoom, total }: WatcherLimits,
): Audience {
  const listeners = new Set<Listener>();
  const add = (member: Person, chatId: bigint | null) => {
    for (const each of member.listeners) {
      if (each.outlet.wantsPresence && each.isWebhook !== true && (each.chatId === null || each.chatId === chatId))
        listeners.add(each);
    }
  };
  if (person !== undefined) add(person, null);
  const quiet = rooms.filter(({ people }) => people.size <= perRoom);
  let lookedAt = 0;
  for (const { chatId, people } of quiet.toSorted((one, other) => one.people.size - other.people.size)) {
    lookedAt += people.size;
    if (lookedAt > total) break;
    for (const member of people.values()) add(member, chatId);
  }
  return byChannel(listeners);
}

function ownListeners(person: Person | undefined): Set<Listener> {
  return new Set([...(person?.listeners ?? [])].filter(({ chatId }) => chatId === null));
}

function byChannel(listeners: ReadonlySet<Listener>): Audience {
  const audience = new Map<Listener['outlet'], Listener[]>();
  for (const listener of listeners) addTo(audience, listener);
  return audience;
}
