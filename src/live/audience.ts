import { askerKey, sessionKey, type Asker } from '../core/asker.ts';

/** Whether the asker may get a result that is `personalTo` (see `RenderedEvent`). */
export function mayReceive(asker: Asker, personalTo: string | null): boolean {
  return personalTo === null || personalTo === askerKey(asker) || personalTo === sessionKey(asker);
}

/**
 * The results of one document for one event, by who may get them. To complete them, render for `lacking(…, askerKey)`, which
 * is once for each user, and then for `lacking(…, sessionKey)`: the other sessions of users whose result is for one session.
 */
export class ResultsByAudience<Result> {
  readonly #results = new Map<string | null, Result>();

  /** Adds a result for everyone (`personalTo` null), one user or one session. */
  add(personalTo: string | null, result: Result): void {
    this.#results.set(personalTo, result);
  }

  /** The result for the asker: of those that they may get, the one for the fewest. */
  find(asker: Asker): Result | undefined {
    return this.#results.get(sessionKey(asker)) ?? this.#results.get(askerKey(asker)) ?? this.#results.get(null);
  }

  /** Of the askers that have no result yet, one for each key. */
  lacking(askers: readonly Asker[], keyOf: (asker: Asker) => string): Asker[] {
    const withoutResult = askers.filter((asker) => this.find(asker) === undefined);
    return [...new Map(withoutResult.map((asker) => [keyOf(asker), asker])).values()];
  }
}
