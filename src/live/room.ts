import type { Membership } from '../log/log-reader.ts';
import type { LoggedEvent } from '../log/event.ts';
import type { Outlet, Listener } from './listener.ts';
import type { Person } from './person.ts';

/** Listeners, grouped by the outlet that renders for them. */
export type Audience = ReadonlyMap<Outlet, readonly Listener[]>;

/**
 * The people and streams of one chat on this node: its members with an open stream, and the listeners that follow only
 * this chat (which belong to members or to readers of a public channel).
 */
export class Room {
  readonly chatId: bigint;
  readonly people = new Map<bigint, Person>();
  readonly followers = new Set<Listener>();
  #audience: Audience | null = null;
  #everyoneSince = 0n;
  #everyoneSeesFrom = 0;

  constructor(chatId: bigint) {
    this.chatId = chatId;
  }

  get isEmpty(): boolean {
    return this.people.size === 0 && this.followers.size === 0;
  }

  /**
   * Call this when a listener or a membership has changed, so that the audience is computed again for the next event.
   */
  change(): void {
    this.#audience = null;
  }

  /** Returns all listeners of this chat on this node, regardless of how much of the history they see. */
  everyone(): Audience {
    this.#audience ??= this.#gather();
    return this.#audience;
  }

  /**
   * Returns the listeners that receive an event of this chat. Returns the same map again if no listener or membership
   * has changed since the previous event and everyone may receive both events, so that consecutive events can be sent
   * in one write.
   */
  audienceOf(event: LoggedEvent): Audience {
    const everyone = this.everyone();
    const isForEveryone =
      event.id >= this.#everyoneSince && (event.seq === null || event.seq >= this.#everyoneSeesFrom);
    return isForEveryone ? everyone : this.#select(everyone, event);
  }

  /** Whether this listener's membership includes the event; a reader of a public channel sees every event. */
  #shows(listener: Listener, event: LoggedEvent): boolean {
    const membership = this.people.get(listener.userId)?.memberships.get(this.chatId);
    if (membership === undefined || (listener.chatId !== null && listener.isPublicReader)) return true;
    return event.id >= membership.since && (event.seq === null || event.seq >= firstShown(membership));
  }

  #gather(): Audience {
    const audience = new Map<Outlet, Listener[]>();
    this.#everyoneSince = 0n;
    this.#everyoneSeesFrom = 0;
    for (const person of this.people.values()) {
      for (const listener of person.listeners) if (listener.chatId === null) addTo(audience, listener);
      const membership = person.memberships.get(this.chatId);
      if (membership === undefined) continue;
      if (membership.since > this.#everyoneSince) this.#everyoneSince = membership.since;
      this.#everyoneSeesFrom = Math.max(this.#everyoneSeesFrom, firstShown(membership));
    }
    for (const listener of this.followers) addTo(audience, listener);
    return audience;
  }

  #select(everyone: Audience, event: LoggedEvent): Audience {
    const audience = new Map<Outlet, Listener[]>();
    for (const listeners of everyone.values()) {
      for (const listener of listeners) if (this.#shows(listener, event)) addTo(audience, listener);
    }
    return audience;
  }
}

function firstShown({ visibleFrom, isWhole }: Membership): number {
  return isWhole ? 1 : visibleFrom;
}

/** Adds a listener to the list of its outlet. */
export function addTo(audience: Map<Outlet, Listener[]>, listener: Listener): void {
  const listeners = audience.get(listener.outlet);
  if (listeners === undefined) audience.set(listener.outlet, [listener]);
  else listeners.push(listener);
}

/**
 * Returns the audience together with the listeners of the event's addressee. Each listener is included only once.
 */
export function withPerson(audience: Audience, person: Person, event: LoggedEvent): Audience {
  const everyone = new Map<Outlet, Listener[]>();
  for (const listeners of audience.values()) {
    for (const listener of listeners) if (listener.userId !== person.userId) addTo(everyone, listener);
  }
  for (const listener of person.listeners) {
    if (listener.chatId === null || listener.chatId === event.chatId) addTo(everyone, listener);
  }
  return everyone;
}
