import { gatherAcquaintances, gatherWatchers, type Circles, type WatcherLimits } from './acquaintance.ts';
import type { LoggedEvent } from '../log/event.ts';
import { Interest } from './broadcast/interest.ts';
import { shardOf } from './broadcast/shard.ts';
import { readKnown, type HubAttendance, type HubBatch, type HubLog, type Known } from './hub-log.ts';
import type { Listener, Outlet } from './listener.ts';
import type { Typing } from './notice.ts';
import { withPerson, type Audience } from './room.ts';
import { Roster } from './roster.ts';
import { ServerRoom } from './server-room.ts';

/**
 * The streams that are open on this node, by chat and by person. Events from the log pass through the hub in
 * order. An event that changes a membership takes effect in the hub exactly at its position in the log. A member
 * therefore receives no events from before they joined or after they left.
 */
export class Hub {
  readonly #log: HubLog;
  readonly #attendance: HubAttendance;
  #position = 0n;
  #passedCount = 0;
  /** The shards of the log that concern this node. */
  readonly interest = new Interest();
  readonly #roster = new Roster(this.interest);
  /** The listeners for the whole server. */
  readonly #server = new ServerRoom(this.interest);
  /** Called, in the order of the log, when a webhook has been created, changed, paused or deleted. */
  onWebhookChange: (webhookId: bigint) => void = () => undefined;

  /**
   * Called before the edit or deletion of a message is sent, because earlier renderings of the chat must no longer be
   * shown. Called with null when the log has been replaced.
   */
  onOutdated: (chatId: bigint | null) => void = () => undefined;

  constructor(log: HubLog, attendance: HubAttendance) {
    this.#log = log;
    this.#attendance = attendance;
  }

  /**
   * The id of the last event that has passed through the hub, or 0 before the first event. That event and every earlier
   * event have been handed to their outlets.
   */
  get position(): bigint {
    return this.#position;
  }

  /** How many events have passed through the hub since it started. */
  get passedCount(): number {
    return this.#passedCount;
  }

  /** How many subscriptions are open. */
  get listenerCount(): number {
    return this.#server.listeners.length + this.#roster.listenerCount;
  }

  /**
   * From this call on, the listener's outlet receives the listener's events. Resolves to a position in the log once the
   * person's memberships are known. All events up to that position must be read from the log, although some of them may
   * also arrive through the outlet. If `isSessionLive` is false, the session has already ended, and no later event will
   * end the listener.
   */
  async join(listener: Listener): Promise<{ head: bigint; isSessionLive: boolean }> {
    if (listener.serverKeyId != null) return this.#joinServer(listener, listener.serverKeyId);
    const { person, isNew } = this.#roster.add(listener);
    if (listener.isWebhook !== true) this.#attendance.arrive(listener);
    const snapshot = this.#log.readSnapshot(listener);
    if (isNew) person.loaded = snapshot.then((known) => this.#roster.settle(person, known));
    try {
      const [{ head, isSessionLive }] = await Promise.all([snapshot, person.loaded]);
      // Events that passed through the hub between the time of the snapshot and its arrival did not reach this person,
      // so they must also be read from the log.
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

  /** Removes the listener. If it was the person's last listener, removes the person too. */
  leave(listener: Listener): void {
    if (listener.serverKeyId != null) return this.#server.remove(listener);
    if (this.#roster.remove(listener) && listener.isWebhook !== true) this.#attendance.depart(listener);
  }

  /**
   * Passes on the next events from the log, in order. Returns false, and passes nothing on, if the batch lacks a shard
   * that concerns this node.
   */
  async publish({ events, through, known: given, lacking = [] }: HubBatch): Promise<boolean> {
    const known = given ?? (await readKnown(this.#log, events, this.#roster.people));
    // This check comes late because users may have connected while the facts were being read, and because this very
    // batch may add users to chats. From here on, the method does not wait for anything.
    if (lacking.some((shard) => this.#needs(shard, known))) return false;
    this.#passedCount += events.length;
    for (const event of events) this.#pass(event, known);
    // The position also advances past the missing shards, because a user who connects from now on reads the log up to
    // this position.
    this.#position = through;
    return true;
  }

  #needs(shard: number, { added }: Known): boolean {
    if (this.interest.has(shard)) return true;
    for (const members of added.values()) {
      if (members.some(({ chatId, userId }) => shardOf(chatId) === shard && this.#roster.people.has(userId)))
        return true;
    }
    return false;
  }

  /** Passes a typing notice on to the other people in the chat who are on this node. */
  publishTyping(typing: Typing): void {
    for (const [outlet, listeners] of this.#roster.roomOf(typing.chatId)?.everyone() ?? []) {
      const others = listeners.filter(({ userId, isWebhook }) => userId !== typing.userId && isWebhook !== true);
      if (others.length > 0) outlet.publishTyping(typing, others);
    }
  }

  /** Returns all listeners on this node that select presence changes. */
  watchers(): Listener[] {
    return [...this.#roster.people.values()].flatMap(({ listeners }) =>
      [...listeners].filter(({ outlet, isWebhook }) => outlet.wantsPresence && isWebhook !== true),
    );
  }

  /**
   * Returns the watchers among the listeners of the person and of the members of these chats, within the limits of
   * `gatherWatchers`.
   */
  watchersAround(userId: bigint, chatIds: readonly bigint[], limits: WatcherLimits): Audience {
    return gatherWatchers(this.#roster.roomsAmong(chatIds), this.#roster.people.get(userId), limits);
  }

  /**
   * Call this when the log has been replaced. Every stream is closed, and its client reconnects with a cursor, which is
   * checked against the new log. A client that reconnects before the last stream is closed finds no state from the old
   * log here.
   */
  restart(): void {
    // In a different history, the same id identifies a different event.
    this.onOutdated(null);
    const people = [...this.#roster.people.values()];
    for (const listener of this.#server.listeners) listener.outlet.interrupt(listener);
    this.#server.clear();
    this.#position = 0n;
    this.#roster.clear();
    for (const person of people) {
      for (const listener of person.listeners) {
        if (listener.isWebhook !== true) this.#attendance.depart(listener);
        listener.outlet.interrupt(listener);
      }
    }
  }

  #pass(event: LoggedEvent, { added, circles, recipients }: Known): void {
    this.#position = event.id;
    // This is needed even if no one on this node is in the chat, because a reader who has just left may return and
    // replay the message.
    if (event.kind === 'MessageEdited' || event.kind === 'MessageDeleted') this.onOutdated(event.chatId);
    for (const { userId, ...membership } of added.get(event.id) ?? []) this.#roster.change(userId, event, membership);
    let audience = this.#audienceOf(event, circles);
    for (const userId of recipients.get(event.id) ?? []) audience = this.#withMissed(audience, userId, event);
    for (const [outlet, listeners] of audience) outlet.publish(event, listeners);
    for (const [outlet, listeners] of this.#server.audienceOf(event)) outlet.publish(event, listeners);
    this.#takeAccess(event);
  }

  /**
   * Called after an event has been sent. If the event takes away access, ensures that the people who lost access
   * receive nothing more.
   */
  #takeAccess(event: LoggedEvent): void {
    if (event.kind === 'SessionEnded' && event.userId !== null) {
      const sessionId = String(event.detail?.['session_id']);
      const own = this.#roster.people.get(event.userId)?.listeners ?? [];
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
      this.#roster.change(event.userId, event, null);
      this.#endFollowers(event, (follower) => follower.userId === event.userId && !follower.isPublicReader);
    }
    if (event.kind === 'BanStarted') this.#endFollowers(event, (follower) => follower.userId === event.userId);
    if (event.kind === 'ChatUpdated') this.#changeReaders(event);
    if (event.kind === 'ChatDeleted') {
      this.#endFollowers(event, () => true);
      for (const person of this.#roster.roomOf(event.chatId)?.people.values() ?? []) {
        this.#roster.change(person.userId, event, null);
      }
    }
  }

  /**
   * When a channel becomes private, followers who are not members lose access to it. When a channel becomes public, any
   * user may follow it.
   */
  #changeReaders(event: LoggedEvent): void {
    const room = this.#roster.roomOf(event.chatId);
    const isTurnedPrivate = event.detail?.['turned_private'] === true;
    if (!isTurnedPrivate && event.detail?.['turned_public'] !== true) return;
    // This applies to all members: those in the room, and those whose memberships are still being read.
    for (const userId of this.#roster.people.keys())
      this.#roster.change(userId, event, isTurnedPrivate ? 'OWN' : 'WHOLE');
    if (room === undefined) return;
    for (const follower of room.followers) follower.isPublicReader = !isTurnedPrivate;
    room.change();
    if (isTurnedPrivate) this.#endFollowers(event, (follower) => !room.people.has(follower.userId));
  }

  #endFollowers(event: LoggedEvent, isOut: (follower: Listener) => boolean): void {
    const room = this.#roster.roomOf(event.chatId);
    for (const follower of room?.followers ?? []) {
      if (isOut(follower)) follower.outlet.end(follower, 'ACCESS_LOST', event.id);
    }
  }

  #withMissed(audience: Audience, userId: bigint, event: LoggedEvent): Audience {
    const person = this.#roster.people.get(userId);
    const isInRoom = this.#roster.roomOf(event.chatId)?.people.has(userId) === true;
    return person === undefined || isInRoom ? audience : withPerson(audience, person, event);
  }

  #audienceOf(event: LoggedEvent, circles: Circles): Audience {
    if (event.audience === 'ACQUAINTANCES' && event.userId !== null) return this.#circleOf(event.userId, circles);
    const room = event.audience === 'PERSON' ? undefined : this.#roster.roomOf(event.chatId);
    const ofRoom = room?.audienceOf(event) ?? new Map<Outlet, readonly Listener[]>();
    const person = event.userId === null ? undefined : this.#roster.people.get(event.userId);
    return person === undefined ? ofRoom : withPerson(ofRoom, person, event);
  }

  #circleOf(userId: bigint, circles: Circles): Audience {
    return gatherAcquaintances(this.#roster.roomsAmong(circles.get(userId) ?? []), this.#roster.people.get(userId));
  }
}
