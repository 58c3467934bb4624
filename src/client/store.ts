import { reduce, type Action } from './reducer.ts';
import { nothing, type State } from './state.ts';

/** Holds the state, and tells listeners of each change. */
export class Store {
  #state: State = nothing;
  readonly #listeners = new Set<(before: State) => void>();

  get state(): State {
    return this.#state;
  }

  /** Applies an action. Listeners are called if it changed anything. */
  dispatch(action: Action): void {
    const before = this.#state;
    this.#state = reduce(before, action);
    if (this.#state === before) return;
    for (const listener of this.#listeners) listener(before);
  }

  /** Calls the listener after every change; returns a function that unsubscribes it. */
  subscribe(listener: (before: State) => void): () => void {
    // A function can be subscribed twice, and must then be unsubscribed twice.
    const own = (before: State) => listener(before);
    this.#listeners.add(own);
    return () => void this.#listeners.delete(own);
  }
}
