import { askerKey, sessionKey, type Caller } from '../core/asker.ts';

/** Returns whether the asker may get a result with this `personalTo` (see `RenderedEvent`). */
export function mayReceive(asker: Caller, personalTo: string | null): boolean {
  return personalTo === null || personalTo === askerKey(asker) || personalTo === sessionKey(asker);
}

/**
 * The results of one document for one event, by the people who may get them. To complete the results, render for each
 * asker in `lacking(…, askerKey)`, which has one asker per user. Then render for each asker in `lacking(…,
 * sessionKey)`, which has the other sessions of users whose result is for one session only.
 */
export class ResultsByAudience<Result> {
  readonly #results = new Map<string | null, Result>();

  /** Adds a result for everyone (`personalTo` is null), for one user or for one session. */
  add(personalTo: string | null, result: Result): void {
    this.#results.set(personalTo, result);
  }

  /** Returns the most specific result that the asker may get: for their session, for their user or for everyone. */
  find(asker: Caller): Result | undefined {
    return this.#results.get(sessionKey(asker)) ?? this.#results.get(askerKey(asker)) ?? this.#results.get(null);
  }

  /** For each key, returns one of the askers that have no result yet. */
  lacking(askers: readonly Caller[], keyOf: (asker: Caller) => string): Caller[] {
    const withoutResult = askers.filter((asker) => this.find(asker) === undefined);
    return [...new Map(withoutResult.map((asker) => [keyOf(asker), asker])).values()];
  }
}
