import { serverAudiences, type LoggedEvent } from '../log/event.ts';
import type { Interest } from './broadcast/interest.ts';
import type { Listener, Outlet } from './listener.ts';
import { addTo, type Audience } from './room.ts';

const audiences: ReadonlySet<string> = new Set(serverAudiences);
const noOne: Audience = new Map();

/**
 * The listeners for the whole server. The receivers of an event are found without a lookup per chat, so the number of
 * chats does not matter.
 */
export class ServerRoom {
  #listeners: readonly Listener[] = [];
  #audience: Audience = noOne;
  readonly #interest: Interest;

  /** `interest` is notified of the number of listeners. */
  constructor(interest: Interest) {
    this.#interest = interest;
  }

  get listeners(): readonly Listener[] {
    return this.#listeners;
  }

  add(listener: Listener): void {
    this.#change([...this.#listeners, listener]);
  }

  remove(listener: Listener): void {
    if (this.#listeners.includes(listener)) this.#change(this.#listeners.filter((each) => each !== listener));
  }

  clear(): void {
    this.#change([]);
  }

  /**
   * Returns the listeners that receive the event, as the same map until the listeners change, so that consecutive
   * events can be sent together.
   */
  audienceOf(event: LoggedEvent): Audience {
    return audiences.has(event.audience) ? this.#audience : noOne;
  }

  #change(listeners: readonly Listener[]): void {
    this.#listeners = listeners;
    this.#interest.needAll(listeners.length);
    const audience = new Map<Outlet, Listener[]>();
    for (const listener of listeners) addTo(audience, listener);
    this.#audience = audience;
  }
}
