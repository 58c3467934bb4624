import { reduce, type Action } from './reducer.ts';
import { nothing, type State } from './state.ts';

/** Holds the state, and notifies listeners of each change. */
export class Store {
  #state: State = nothing;
  readonly #listeners = new Set<(before: State) => void>();

  get state(): State {
    return this.#state;
  }

  /** Applies an action. Calls the listeners if the action changed anything. */
  dispatch(action: Action): void {
    const before = this.#state;
    this.#state = reduce(before, action);
    if (this.#state === before) return;
    for (const listener of this.#listeners) listener(before);
  }

  /** Calls the listener after every change. Returns a function that removes the listener. */
  subscribe(listener: (before: State) => void): () => void {
    // The same function can be subscribed twice, and must then be removed twice.
    const own = (before: State) => listener(before);
    this.#listeners.add(own);
    return () => void this.#listeners.delete(own);
  }
}
