import type { LoggedEvent } from '../log/event.ts';
import type { Snapshot } from '../log/log-reader.ts';
import type { Interest } from './broadcast/interest.ts';
import { shardOf } from './broadcast/shard.ts';
import type { Listener } from './listener.ts';
import { Person, type MembershipChange } from './person.ts';
import type { Room } from './room.ts';
import { Rooms } from './rooms.ts';

/** The people who have a stream on this node, and the rooms of the chats that they are members of or follow. */
export class Roster {
  readonly #interest: Interest;
  readonly #people = new Map<bigint, Person>();
  readonly #rooms: Rooms;

  /** The roster keeps `interest` up to date with its people and rooms. */
  constructor(interest: Interest) {
    this.#interest = interest;
    this.#rooms = new Rooms(interest);
  }

  /** How many listeners there are. */
  get listenerCount(): number {
    let count = 0;
    for (const person of this.#people.values()) count += person.listeners.size;
    return count;
  }

  get people(): ReadonlyMap<bigint, Person> {
    return this.#people;
  }

  /** Returns the room of a chat, if anyone on this node is in it. */
  roomOf(chatId: bigint | null): Room | undefined {
    return this.#rooms.get(chatId);
  }

  /** Returns the existing rooms of these chats. */
  roomsAmong(chatIds: readonly bigint[]): Room[] {
    return this.#rooms.among(chatIds);
  }

  /**
   * Adds a listener. `isNew`: whether it is the person's first listener, in which case their memberships are unknown
   * until `settle`.
   */
  add(listener: Listener): { person: Person; isNew: boolean } {
    let person = this.#people.get(listener.userId);
    const isNew = person === undefined;
    if (person === undefined) {
      person = new Person(listener.userId);
      this.#people.set(person.userId, person);
      this.#interest.add(shardOf(person.userId));
    }
    person.listeners.add(listener);
    if (listener.chatId !== null) this.#rooms.open(listener.chatId).followers.add(listener);
    this.#changeRooms(person, listener);
    return { person, isNew };
  }

  /**
   * Removes a listener, and also the person if it was their last listener. Returns false if the listener was not there.
   */
  remove(listener: Listener): boolean {
    const person = this.#people.get(listener.userId);
    if (person === undefined || !person.listeners.delete(listener)) return false;
    if (listener.chatId !== null) {
      const room = this.#rooms.get(listener.chatId);
      room?.followers.delete(listener);
      room?.change();
      this.#rooms.dropIfEmpty(room);
    }
    this.#changeRooms(person, listener);
    if (person.listeners.size > 0) return true;
    this.#people.delete(person.userId);
    this.#interest.remove(shardOf(person.userId));
    for (const chatId of person.memberships.keys()) this.#takeOut(person, chatId);
    return true;
  }

  /** Removes everyone. */
  clear(): void {
    this.#people.clear();
    this.#rooms.clear();
    this.#interest.clear();
  }

  /**
   * Applies the snapshot of a person's memberships. It includes the changes up to event `head`; later changes are
   * applied to it.
   */
  settle(person: Person, snapshot: Snapshot): void {
    const changes = person.pending ?? [];
    person.pending = null;
    for (const membership of snapshot.memberships) this.#apply(person, membership.chatId, membership);
    for (const change of changes) {
      if (change.eventId > snapshot.head) this.#apply(person, change.chatId, change.membership);
    }
  }

  /** Applies an event in a chat to a person's membership in that chat, if the person is on this node. */
  change(userId: bigint, event: LoggedEvent, membership: MembershipChange['membership']): void {
    const person = this.#people.get(userId);
    if (person === undefined || event.chatId === null) return;
    const change: MembershipChange = { eventId: event.id, chatId: event.chatId, membership };
    if (person.pending !== null) person.pending.push(change);
    // A membership that began after this event is not the membership that the event ended.
    else if ((person.memberships.get(change.chatId)?.since ?? 0n) <= event.id) {
      this.#apply(person, change.chatId, membership);
    }
  }

  #apply(person: Person, chatId: bigint, change: MembershipChange['membership']): void {
    // A person whose last stream closed while the snapshot was being read no longer belongs in a room.
    if (this.#people.get(person.userId) !== person) return;
    const known = person.memberships.get(chatId);
    const membership =
      change === 'WHOLE' || change === 'OWN' ? known && { ...known, isWhole: change === 'WHOLE' } : change;
    if (membership == null) {
      this.#takeOut(person, chatId);
      person.memberships.delete(chatId);
      return;
    }
    person.memberships.set(chatId, membership);
    const room = this.#rooms.open(chatId);
    room.people.set(person.userId, person);
    room.change();
  }

  #takeOut(person: Person, chatId: bigint): void {
    const room = this.#rooms.get(chatId);
    room?.people.delete(person.userId);
    room?.change();
    this.#rooms.dropIfEmpty(room);
  }

  #changeRooms(person: Person, listener: Listener): void {
    if (listener.chatId !== null) this.#rooms.get(listener.chatId)?.change();
    else for (const chatId of person.memberships.keys()) this.#rooms.get(chatId)?.change();
  }
}
