import { gatherAcquaintances, gatherWatchers, type Circles, type WatcherLimits } from './acquaintance.ts';
import type { LoggedEvent } from '../log/event.ts';
import { Interest } from './broadcast/interest.ts';
import { shardOf } from './broadcast/shard.ts';
import { readKnown, type HubAttendance, type HubBatch, type HubLog, type Known } from './hub-log.ts';
import type { Listener, Outlet } from './listener.ts';
import type { Typing } from './notice.ts';
import type { Snapshot } from '../log/log-reader.ts';
import { Person, type MembershipChange } from './person.ts';
import { withPerson, type Audience } from './room.ts';
import { Rooms } from './rooms.ts';
import { ServerRoom } from './server-room.ts';

/**
 * The streams open on this node: chat → listeners, person → listeners. Events of the log pass through the hub in order.
 * An event that changes a membership takes effect in the hub exactly at its position in the log, so that a member
 * receives nothing from before they joined or after they left.
 */
export class Hub {
  readonly #log: HubLog;
  readonly #attendance: HubAttendance;
  #position = 0n;
  #passedCount = 0;
  /** The parts of the log that concern this node. */
  readonly interest = new Interest();
  readonly #people = new Map<bigint, Person>();
  /** The listeners of the whole server. */
  readonly #server = new ServerRoom(this.interest);
  /** Called in the order of the log when a webhook was created, changed, paused or deleted. */
  onWebhookChange: (webhookId: bigint) => void = () => undefined;
  readonly #rooms = new Rooms(this.interest);

  constructor(log: HubLog, attendance: HubAttendance) {
    this.#log = log;
    this.#attendance = attendance;
  }

  /** The last event that has passed: every event up to it has been handed to its outlets. 0 until the first one. */
  get position(): bigint {
    return this.#position;
  }

  /** How many events have passed since the start. */
  get passedCount(): number {
    return this.#passedCount;
  }

  /** How many subscriptions are open. */
  get listenerCount(): number {
    let count = this.#server.listeners.length;
    for (const person of this.#people.values()) count += person.listeners.size;
    return count;
  }

  /**
   * From this call on, the listener's outlet receives its events. Resolves to a position in the log once the person's
   * memberships are known: everything at or below that position is history, to be read from the log, and may also
   * arrive through the outlet. If the session has already ended by then, no further end event will arrive.
   */
  async join(listener: Listener): Promise<{ head: bigint; isSessionLive: boolean }> {
    if (listener.serverKeyId != null) return this.#joinServer(listener, listener.serverKeyId);
    let person = this.#people.get(listener.userId);
    const isNew = person === undefined;
    if (person === undefined) {
      person = new Person(listener.userId);
      this.#people.set(person.userId, person);
      this.interest.add(shardOf(person.userId));
    }
    person.listeners.add(listener);
    if (listener.isWebhook !== true) this.#attendance.arrive(listener);
    if (listener.chatId !== null) this.#rooms.open(listener.chatId).followers.add(listener);
    this.#changeRooms(person, listener);
    const snapshot = this.#log.readSnapshot(listener);
    if (isNew) {
      const settled = person;
      person.loaded = snapshot.then((known) => this.#settle(settled, known));
    }
    try {
      const [{ head, isSessionLive }] = await Promise.all([snapshot, person.loaded]);
      // Events that passed between the snapshot and its arrival did not find this person in the hub: they are read
      // from the log as well.
      return { head: head > this.#position ? head : this.#position, isSessionLive };
    } catch (error) {
      this.leave(listener);
      throw error;
    }
  }

  async #joinServer(listener: Listener, keyId: bigint): Promise<{ head: bigint; isSessionLive: boolean }> {
    this.#server.add(listener);
    try {
      const { head, isSessionLive } = await this.#log.readServerSnapshot(keyId);
      return { head: head > this.#position ? head : this.#position, isSessionLive };
    } catch (error) {
      this.leave(listener);
      throw error;
    }
  }

  /** Removes the listener. If it was the person's last one, removes the person too. */
  leave(listener: Listener): void {
    if (listener.serverKeyId != null) return this.#server.remove(listener);
    const person = this.#people.get(listener.userId);
    if (person === undefined || !person.listeners.delete(listener)) return;
    if (listener.isWebhook !== true) this.#attendance.depart(listener);
    if (listener.chatId !== null) {
      const room = this.#rooms.get(listener.chatId);
      room?.followers.delete(listener);
      room?.change();
      this.#rooms.dropIfEmpty(room);
    }
    this.#changeRooms(person, listener);
    if (person.listeners.size > 0) return;
    this.#people.delete(person.userId);
    this.interest.remove(shardOf(person.userId));
    for (const chatId of person.memberships.keys()) this.#takeOut(person, chatId);
  }

  /**
   * Passes on the next events of the log, in order. Returns false, and passes nothing, if the batch lacks a shard that
   * concerns this node.
   */
  async publish({ events, through, known: given, lacking = [] }: HubBatch): Promise<boolean> {
    const known = given ?? (await readKnown(this.#log, events, this.#people));
    // Checked at the moment of passing: users may have connected while the facts were read, and this very batch may add
    // others to chats. From here on, everything happens at once.
    if (lacking.some((shard) => this.#needs(shard, known))) return false;
    this.#passedCount += events.length;
    for (const event of events) this.#pass(event, known);
    // A user who connects now must read from the log what this node has skipped.
    this.#position = through;
    return true;
  }

  #needs(shard: number, { added }: Known): boolean {
    if (this.interest.has(shard)) return true;
    for (const members of added.values()) {
      if (members.some(({ chatId, userId }) => shardOf(chatId) === shard && this.#people.has(userId))) return true;
    }
    return false;
  }

  /** Passes typing on to the others in the chat who are on this node. */
  publishTyping(typing: Typing): void {
    for (const [outlet, listeners] of this.#rooms.get(typing.chatId)?.everyone() ?? []) {
      const others = listeners.filter(({ userId, isWebhook }) => userId !== typing.userId && isWebhook !== true);
      if (others.length > 0) outlet.publishTyping(typing, others);
    }
  }

  /** All streams on this node that select presence changes. */
  watchers(): Listener[] {
    return [...this.#people.values()].flatMap(({ listeners }) =>
      [...listeners].filter(({ outlet, isWebhook }) => outlet.wantsPresence && isWebhook !== true),
    );
  }

  /**
   * The watchers among the person's own streams and those of the members of these chats, as `gatherWatchers` limits
   * them.
   */
  watchersAround(userId: bigint, chatIds: readonly bigint[], limits: WatcherLimits): Audience {
    return gatherWatchers(this.#rooms.among(chatIds), this.#people.get(userId), limits);
  }

  /**
   * Call this when the log was replaced: every stream closes, and its client returns with a cursor that the new log
   * then judges. A client that returns before the last stream is closed finds no state of the old log here.
   */
  restart(): void {
    const people = [...this.#people.values()];
    for (const listener of this.#server.listeners) listener.outlet.interrupt(listener);
    this.#server.clear();
    this.#position = 0n;
    this.#people.clear();
    this.#rooms.clear();
    this.interest.clear();
    for (const person of people) {
      for (const listener of person.listeners) {
        if (listener.isWebhook !== true) this.#attendance.depart(listener);
        listener.outlet.interrupt(listener);
      }
    }
  }

  #pass(event: LoggedEvent, { added, circles, recipients }: Known): void {
    this.#position = event.id;
    for (const { userId, ...membership } of added.get(event.id) ?? []) this.#change(userId, event, membership);
    let audience = this.#audienceOf(event, circles);
    for (const userId of recipients.get(event.id) ?? []) audience = this.#withMissed(audience, userId, event);
    for (const [outlet, listeners] of audience) outlet.publish(event, listeners);
    for (const [outlet, listeners] of this.#server.audienceOf(event)) outlet.publish(event, listeners);
    this.#takeAccess(event);
  }

  /** After an event that takes away access has gone out, those who lost it receive nothing more. */
  #takeAccess(event: LoggedEvent): void {
    if (event.kind === 'SessionEnded' && event.userId !== null) {
      const sessionId = String(event.detail?.['session_id']);
      const own = this.#people.get(event.userId)?.listeners ?? [];
      for (const listener of [...own, ...this.#server.listeners]) {
        if (String(listener.sessionId) === sessionId) listener.outlet.end(listener, 'SESSION_ENDED', event.id);
      }
    }
    if (event.kind === 'ApiKeyEnded') {
      const keyId = String(event.detail?.['api_key_id']);
      for (const listener of this.#server.listeners) {
        if (String(listener.serverKeyId) === keyId) listener.outlet.end(listener, 'SESSION_ENDED', event.id);
      }
    }
    if (event.kind === 'WebhookChanged') this.onWebhookChange(BigInt(String(event.detail?.['webhook_id'])));
    if (event.chatId === null) return;
    if (event.kind === 'RemoveFromChat' && event.userId !== null) {
      this.#change(event.userId, event, null);
      this.#endFollowers(event, (follower) => follower.userId === event.userId && !follower.isPublicReader);
    }
    if (event.kind === 'BanStarted') this.#endFollowers(event, (follower) => follower.userId === event.userId);
    if (event.kind === 'ChatUpdated') this.#changeReaders(event);
    if (event.kind === 'ChatDeleted') {
      this.#endFollowers(event, () => true);
      for (const person of this.#rooms.get(event.chatId)?.people.values() ?? []) {
        this.#change(person.userId, event, null);
      }
    }
  }

  /**
   * When a channel turns private, its followers who are not members lose access to it; when it turns public, any user
   * may follow it.
   */
  #changeReaders(event: LoggedEvent): void {
    const room = this.#rooms.get(event.chatId);
    const isTurnedPrivate = event.detail?.['turned_private'] === true;
    if (!isTurnedPrivate && event.detail?.['turned_public'] !== true) return;
    // This applies to all members: those in the room, and those whose memberships are still being read.
    for (const userId of this.#people.keys()) this.#change(userId, event, isTurnedPrivate ? 'OWN' : 'WHOLE');
    if (room === undefined) return;
    for (const follower of room.followers) follower.isPublicReader = !isTurnedPrivate;
    room.change();
    if (isTurnedPrivate) this.#endFollowers(event, (follower) => !room.people.has(follower.userId));
  }

  #endFollowers(event: LoggedEvent, isOut: (follower: Listener) => boolean): void {
    const room = this.#rooms.get(event.chatId);
    for (const follower of room?.followers ?? []) {
      if (isOut(follower)) follower.outlet.end(follower, 'ACCESS_LOST', event.id);
    }
  }

  #withMissed(audience: Audience, userId: bigint, event: LoggedEvent): Audience {
    const person = this.#people.get(userId);
    const isInRoom = this.#rooms.get(event.chatId)?.people.has(userId) === true;
    return person === undefined || isInRoom ? audience : withPerson(audience, person, event);
  }

  #audienceOf(event: LoggedEvent, circles: Circles): Audience {
    if (event.audience === 'ACQUAINTANCES' && event.userId !== null) return this.#circleOf(event.userId, circles);
    const room = event.audience === 'PERSON' ? undefined : this.#rooms.get(event.chatId);
    const ofRoom = room?.audienceOf(event) ?? new Map<Outlet, readonly Listener[]>();
    const person = event.userId === null ? undefined : this.#people.get(event.userId);
    return person === undefined ? ofRoom : withPerson(ofRoom, person, event);
  }

  #circleOf(userId: bigint, circles: Circles): Audience {
    return gatherAcquaintances(this.#rooms.among(circles.get(userId) ?? []), this.#people.get(userId));
  }

  /** The snapshot is as of `head`: changes up to `head` are already in it, and later ones are applied to it. */
  #settle(person: Person, snapshot: Snapshot): void {
    const changes = person.pending ?? [];
    person.pending = null;
    for (const membership of snapshot.memberships) this.#apply(person, membership.chatId, membership);
    for (const change of changes) {
      if (change.eventId > snapshot.head) this.#apply(person, change.chatId, change.membership);
    }
  }

  #change(userId: bigint, event: LoggedEvent, membership: MembershipChange['membership']): void {
    const person = this.#people.get(userId);
    if (person === undefined || event.chatId === null) return;
    const change: MembershipChange = { eventId: event.id, chatId: event.chatId, membership };
    if (person.pending !== null) person.pending.push(change);
    // A membership that began after this event is not the one that the event ended.
    else if ((person.memberships.get(change.chatId)?.since ?? 0n) <= event.id) {
      this.#apply(person, change.chatId, membership);
    }
  }

  #apply(person: Person, chatId: bigint, change: MembershipChange['membership']): void {
    // A person whose last stream closed while the snapshot was read no longer belongs in a room.
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
