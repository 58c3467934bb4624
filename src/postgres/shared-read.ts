import { sqlStateOf } from './sql-state.ts';
import { isTransient } from './transient.ts';

const queryCanceled = '57014';

/**
 * How many statements of one reader may run at the same time. Keys that are requested while they run go into the next
 * statement. Two PostgreSQL processes can send at least as much as one thread can decode.
 */
const maxRunning = 2;

/** A statement that has run for this long, in ms, no longer makes other statements wait. */
const slowMs = 20;

/**
 * Reads the values of these keys. Calls `find` with the other values that the same statement read for the key at
 * `index`.
 */
type Read<Key, Value, Found> = (
  keys: readonly Key[],
  find: (index: number, found: Found) => void,
) => Promise<ArrayLike<Value | Error>>;

/** One execution's question. */
type Question<Key, Value, Found> = {
  keys: readonly Key[];
  find: (found: Found) => void;
  answer: PromiseWithResolvers<ArrayLike<Value | Error>>;
};

/**
 * Reads values by key, for all executions of a process. While two statements are running, it collects the keys that
 * executions request. The next statement then reads each of these keys once. Under load, the statement accounts for
 * most of the cost of a small read, and the executions share this cost. An idle server answers as fast as it would
 * without sharing. Every read begins after it is requested, so it sees everything that was committed before the
 * request. Nothing is cached.
 */
export class SharedRead<Key, Value, Found> {
  readonly #read: Read<Key, Value, Found>;
  readonly #keyOf: (key: Key) => unknown;
  readonly #maxKeys: number;
  /** When each running statement began, in ms of `performance.now()`. */
  readonly #running = new Set<{ since: number }>();
  #waiting: Question<Key, Value, Found>[] = [];
  #isScheduled = false;
  #timer: NodeJS.Timeout | null = null;

  /**
   * `keyOf` returns a string or an id for a key. Keys for which it returns the same value count as the same key.
   * `maxKeys` is the maximum number of keys that one statement reads for several executions.
   */
  constructor(read: Read<Key, Value, Found>, { keyOf, maxKeys }: { keyOf: (key: Key) => unknown; maxKeys: number }) {
    this.#read = read;
    this.#keyOf = keyOf;
    this.#maxKeys = maxKeys;
  }

  /** Whether no statement is running and none is waiting to run. */
  get isIdle(): boolean {
    return this.#running.size === 0 && this.#waiting.length === 0;
  }

  /**
   * Reads the values of these keys, no two of which may be equal. `find` receives the other values that the statement
   * read.
   */
  read(keys: readonly Key[], find: (found: Found) => void): Promise<ArrayLike<Value | Error>> {
    const answer = Promise.withResolvers<ArrayLike<Value | Error>>();
    this.#waiting.push({ keys, find, answer });
    if (!this.#isScheduled) {
      this.#isScheduled = true;
      // All executions that ask in the same turn of the event loop share the first statement.
      queueMicrotask(() => {
        this.#isScheduled = false;
        this.#continue();
      });
    }
    return answer.promise;
  }

  #continue(): void {
    while (this.#waiting.length > 0 && this.#hasRoom()) void this.#run(this.#takeWaiting());
    if (this.#waiting.length === 0 || this.#timer !== null) return;
    this.#timer = setTimeout(() => {
      this.#timer = null;
      this.#continue();
    }, slowMs);
  }

  #hasRoom(): boolean {
    if (this.#running.size < maxRunning) return true;
    const slowSince = performance.now() - slowMs;
    let quick = 0;
    for (const { since } of this.#running) if (since > slowSince) quick += 1;
    return quick < maxRunning;
  }

  /** Takes the first waiting question, and the questions after it whose keys fit into the same statement. */
  #takeWaiting(): Question<Key, Value, Found>[] {
    let keyCount = 0;
    let end = 0;
    for (const { keys } of this.#waiting) {
      keyCount += keys.length;
      if (end > 0 && keyCount > this.#maxKeys) break;
      end += 1;
    }
    return this.#waiting.splice(0, end);
  }

  async #run(questions: Question<Key, Value, Found>[]): Promise<void> {
    const running = { since: performance.now() };
    this.#running.add(running);
    const [first] = questions;
    if (questions.length > 1) await this.#answerAll(questions);
    else if (first !== undefined) await this.#answerOne(first);
    this.#running.delete(running);
    this.#continue();
  }

  async #answerOne({ keys, find, answer }: Question<Key, Value, Found>): Promise<void> {
    try {
      answer.resolve(await this.#read(keys, (_, found) => find(found)));
    } catch (error) {
      answer.reject(error);
    }
  }

  async #answerAll(questions: readonly Question<Key, Value, Found>[]): Promise<void> {
    const { keys, indices, askers } = this.#join(questions);
    try {
      const values = await this.#read(keys, (index, found) => {
        for (const { find } of askers[index] ?? []) find(found);
      });
      questions.forEach(({ answer }, at) => answer.resolve((indices[at] ?? []).map((index) => values[index] as Value)));
    } catch (error) {
      // One question must not make the others fail, for example by taking too long.
      const isAway = isTransient(error) && sqlStateOf(error) !== queryCanceled;
      if (isAway) for (const { answer } of questions) answer.reject(error);
      else await Promise.all(questions.map((question) => this.#answerOne(question)));
    }
  }

  /**
   * Returns the distinct keys, the indices of each question's keys in that list, and the questions that ask for each
   * key.
   */
  #join(questions: readonly Question<Key, Value, Found>[]) {
    const known = new Map<unknown, number>();
    const keys: Key[] = [];
    const askers: Question<Key, Value, Found>[][] = [];
    const indices = questions.map((question) =>
      question.keys.map((key) => {
        const name = this.#keyOf(key);
        let index = known.get(name);
        if (index === undefined) {
          index = keys.push(key) - 1;
          known.set(name, index);
          askers.push([]);
        }
        askers[index]?.push(question);
        return index;
      }),
    );
    return { keys, indices, askers };
  }
}
