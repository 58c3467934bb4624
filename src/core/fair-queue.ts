import { createLru } from './lru.ts';
import { RateLimited } from '../errors.ts';
import { Heap } from './heap.ts';

/**
 * The maximum number of users without queued work whose times are remembered because they have used more time than
 * others.
 */
const maxRemembered = 10_000;
/** The weight of the latest turn in the estimate for the next turn. */
const smoothing = 0.2;

/** The limits of a queue. */
export type FairQueueOptions = {
  /** A plural noun for the waiting work, used in the error message: `searches`. */
  work: string;
  /** The maximum number of turns that may run at the same time. */
  concurrency: number;
  /**
   * The maximum number of running turns that may belong to one user. By default, one user may have all running turns.
   */
  concurrencyPerPerson?: number;
  /** The maximum number of turns that may wait, for each user and in total. */
  maxWaitingPerPerson: number;
  maxWaiting: number;
  /** A monotonic clock in milliseconds. */
  now?: () => number;
};

/** The user whose turn it is. A user with twice the weight may use twice as much time. */
export type Turn = { person: string; weight?: number; signal?: AbortSignal | undefined };

type Waiting = { weight: number; start: (chargedMs: number) => void };

/**
 * One user's place in the queue. `time` is the virtual time of the user's next turn. It grows by the number of
 * milliseconds that the user consumes, divided by the user's weight.
 */
type Place = { person: string; time: number; running: number; waiting: Waiting[]; ticket: number };

/**
 * A claim to the next turn. `time` is the place's `time` from when the claim was issued. The claim is stale once the
 * place has a newer ticket.
 */
type Ticket = { place: Place; time: number; number: number };

/**
 * Shares work fairly among users. The next turn goes to the user who has used the least time while others were waiting.
 * The time is in milliseconds, divided by the user's weight. A user with a thousand tasks and a user with a single task
 * alternate, so the second user waits only until a running turn ends, not until the first user's queue is empty. Users
 * cannot save up unused time.
 *
 * This is start-time fair queueing (Goyal, Vin and Cheng, 1996). The length of a turn is known only at its end. An
 * expected length is therefore charged when the turn starts, and this charge is corrected when the turn ends.
 */
export class FairQueue {
  readonly #options: FairQueueOptions;
  readonly #now: () => number;
  readonly #places = new Map<string, Place>();
  readonly #next = new Heap<Ticket>((one, other) =>
    one.time === other.time ? one.number < other.number : one.time < other.time,
  );
  /**
   * The virtual times of users who have no place in the queue but whose times are ahead of the queue's virtual time.
   */
  readonly #ahead = createLru<string, number>(maxRemembered);
  /** The queue's virtual time: the highest virtual time of a turn that has started. */
  #time = 0;
  #tickets = 0;
  #running = 0;
  #waitingCount = 0;
  #expectedMs = 0;

  constructor(options: FairQueueOptions) {
    this.#options = options;
    this.#now = options.now ?? (() => performance.now());
  }

  /** The number of waiting turns. */
  get waitingCount(): number {
    return this.#waitingCount;
  }

  /**
   * Runs `work` when it is this user's turn, and resolves or rejects with its result. Rejects with a RateLimited that
   * names the limit if too many turns are already waiting. Rejects with the signal's reason if the signal aborts before
   * the turn starts. Once the turn has started, `work` itself must watch the signal.
   */
  async run<Result>({ person, weight = 1, signal }: Turn, work: () => Promise<Result> | Result): Promise<Result> {
    signal?.throwIfAborted();
    const place = this.#placeOf(person);
    if (!this.#mayStart(place)) this.#refuseTooMany(place);
    const chargedMs = this.#mayStart(place) ? this.#start(place, weight) : await this.#wait(place, weight, signal);
    const startedAt = this.#now();
    try {
      return await work();
    } finally {
      this.#finish(place, { usedMs: this.#now() - startedAt, chargedMs, weight });
    }
  }

  /**
   * Returns the first of these users who has no waiting or running work and has used no more time than the others. If
   * there is no such user, returns the user whose turn is next.
   */
  mostToSpare(people: Iterable<string>): string {
    let [found, earliest] = ['', Infinity];
    for (const person of people) {
      const place = this.#places.get(person);
      const ahead = place === undefined ? (this.#ahead.get(person) ?? this.#time) : null;
      if (ahead !== null && ahead <= this.#time) return person;
      // Waiting turns have not yet been charged.
      const time = ahead ?? (place?.time ?? 0) + this.#expectedMs * (place?.waiting.length ?? 0);
      if (time < earliest) [found, earliest] = [person, time];
    }
    return found;
  }

  #placeOf(person: string): Place {
    let place = this.#places.get(person);
    if (place === undefined) {
      // An idle user starts at the queue's time. A user who has used more time than others continues from their own
      // time.
      const time = Math.max(this.#time, this.#ahead.get(person) ?? 0);
      this.#ahead.delete(person);
      place = { person, time, running: 0, waiting: [], ticket: 0 };
      this.#places.set(person, place);
    }
    return place;
  }

  #mayStart(place: Place): boolean {
    return this.#running < this.#options.concurrency && place.waiting.length === 0 && this.#isBelowShare(place);
  }

  #isBelowShare(place: Place): boolean {
    return place.running < (this.#options.concurrencyPerPerson ?? this.#options.concurrency);
  }

  #refuseTooMany(place: Place): void {
    const { work, maxWaiting, maxWaitingPerPerson, concurrency } = this.#options;
    const ofPerson = place.waiting.length >= maxWaitingPerPerson;
    if (!ofPerson && this.#waitingCount < maxWaiting) return;
    this.#leaveIfDone(place);
    const count = ofPerson ? maxWaitingPerPerson : this.#waitingCount;
    const retryAfterSeconds = Math.max(1, Math.ceil((count * this.#expectedMs) / concurrency / 1000));
    throw new RateLimited(
      ofPerson
        ? `Too many of your ${work} are waiting: at most ${maxWaitingPerPerson} may wait.`
        : `Too many ${work} are waiting on this server: at most ${maxWaiting} may wait.`,
      retryAfterSeconds,
    );
  }

  async #wait(place: Place, weight: number, signal: AbortSignal | undefined): Promise<number> {
    const { promise, resolve, reject } = Promise.withResolvers<number>();
    const waiting: Waiting = { weight, start: resolve };
    place.waiting.push(waiting);
    this.#waitingCount += 1;
    if (place.waiting.length === 1) this.#queue(place);
    const abort = () => {
      const index = place.waiting.indexOf(waiting);
      if (index < 0) return;
      place.waiting.splice(index, 1);
      this.#waitingCount -= 1;
      this.#leaveIfDone(place);
      reject(signal?.reason as Error);
    };
    signal?.addEventListener('abort', abort, { once: true });
    try {
      return await promise;
    } finally {
      signal?.removeEventListener('abort', abort);
    }
  }

  /** Starts a turn, and returns the number of milliseconds charged for it. */
  #start(place: Place, weight: number): number {
    place.running += 1;
    this.#running += 1;
    this.#time = Math.max(this.#time, place.time);
    place.time += this.#expectedMs / weight;
    return this.#expectedMs;
  }

  #finish(place: Place, { usedMs, chargedMs, weight }: { usedMs: number; chargedMs: number; weight: number }): void {
    place.time += (usedMs - chargedMs) / weight;
    this.#expectedMs += (usedMs - this.#expectedMs) * smoothing;
    place.running -= 1;
    this.#running -= 1;
    this.#queue(place);
    this.#startNext();
    this.#leaveIfDone(place);
    // When the queue is empty, the time that users have consumed so far no longer matters.
    if (this.#places.size === 0) this.#ahead.clear();
  }

  /** Issues a ticket for the place's current time, if the place has a turn that may start. */
  #queue(place: Place): void {
    if (place.waiting.length === 0 || !this.#isBelowShare(place)) return;
    this.#tickets += 1;
    place.ticket = this.#tickets;
    this.#next.push({ place, time: place.time, number: place.ticket });
  }

  #startNext(): void {
    while (this.#running < this.#options.concurrency) {
      const ticket = this.#next.pop();
      if (ticket === undefined) return;
      const { place, number } = ticket;
      if (number !== place.ticket) continue;
      const waiting = place.waiting.shift();
      if (waiting === undefined) continue;
      this.#waitingCount -= 1;
      waiting.start(this.#start(place, waiting.weight));
      this.#queue(place);
    }
  }

  #leaveIfDone(place: Place): void {
    if (place.running > 0 || place.waiting.length > 0) return;
    this.#places.delete(place.person);
    if (place.time > this.#time) this.#ahead.set(place.person, place.time);
  }
}
