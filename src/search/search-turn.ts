import { FairQueue } from '../core/fair-queue.ts';
import { callerKey, type Caller } from '../core/asker.ts';
import { InvalidInput } from '../errors.ts';
import { searchTimeoutMs, type Db, type Queryable } from '../postgres/client.ts';
import { isEndedByTimeout } from '../postgres/sql-state.ts';

/**
 * The number of searches that run at a time on a node. Each person may have only one search running, so that other
 * people get a turn.
 */
const concurrency = 2;
/**
 * The maximum number of searches that may wait per person, and in total. A single operation is limited to fewer
 * searches: see `searchCost`.
 */
const waiting = { perPerson: 20, all: 200 };

/**
 * The complexity that each search adds to an operation, in addition to the complexity of the fields in the answer. A
 * search reads an index that is as large as the database. With this cost, one operation can contain at most 14
 * searches.
 */
export const searchCost = 2_000;

/**
 * Runs searches on separate connections, with a time limit of 1 s, so that searches never delay other statements, no
 * matter how many searches there are. People take turns.
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
   * Runs the statements of one search when it is the caller's turn. Throws RateLimited when too many searches are
   * waiting, and an InvalidInput that names `argument` when a statement exceeds its time limit.
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
