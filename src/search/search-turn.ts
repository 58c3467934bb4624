import { FairQueue } from '../core/fair-queue.ts';
import { callerKey, type Caller } from '../core/asker.ts';
import { InvalidInput } from '../errors.ts';
import { searchTimeoutMs, type Db, type Queryable } from '../postgres/client.ts';
import { isEndedByTimeout } from '../postgres/sql-state.ts';

/** How many searches run at a time on a node: only one per person, so that another person's search gets a turn. */
const concurrency = 2;
/**
 * How many searches may wait per person, and how many in total. A single operation is limited to fewer: see
 * `searchCost`.
 */
const waiting = { perPerson: 20, all: 200 };

/**
 * What each search in an operation adds to its complexity, besides the fields of the answer. A search reads an index
 * that is as large as the database; with this cost, one operation can contain at most 14 searches.
 */
export const searchCost = 2_000;

/**
 * Runs searches on their own connections, with a limit of 1 s, so that no number of searches delays any other
 * statement. People take turns.
 */
export class SearchTurns {
  readonly #pool: Queryable;
  readonly #queue: FairQueue;

  constructor({ searchPool }: Pick<Db, 'searchPool'>) {
    this.#pool = searchPool;
    this.#queue = new FairQueue({
      work: 'searches',
      concurrency,
      concurrencyPerPerson: 1,
      maxWaitingPerPerson: waiting.perPerson,
      maxWaiting: waiting.all,
    });
  }

  /**
   * Runs the statements of one search when it is the caller's turn. Throws RateLimited when too many searches wait, and
   * InvalidInput, which names `argument`, when a statement takes longer than its limit.
   */
  async run<Result>(caller: Caller, argument: string, work: (pool: Queryable) => Promise<Result>): Promise<Result> {
    try {
      return await this.#queue.run({ person: callerKey(caller) }, () => work(this.#pool));
    } catch (error) {
      if (!isEndedByTimeout(error)) throw error;
      const message = `takes longer than the limit of ${searchTimeoutMs / 1_000} s: search for fewer or rarer words`;
      throw new InvalidInput([{ path: [argument], code: 'NOT_ALLOWED', message }]);
    }
  }
}
