import type { Engine } from './engine.ts';

type Job = { ms: number; arrivedAt: number; done: (startedAt: number) => void };

/** What a station has done since `reset`. Times in ms. */
export type StationFigures = {
  /** The average share of its servers that was busy. It stays at 1 if there is more work than the servers can do. */
  utilisation: number;
  /** The average number of jobs that were waiting or being served. */
  meanJobs: number;
  perMs: number;
  /** The time from a job's arrival to its end. */
  meanStayMs: number;
  meanServiceMs: number;
  /** The number of jobs that are waiting now. */
  waiting: number;
};

/**
 * Servers that share one first-come, first-served queue, such as the cores of PostgreSQL or the event loop of a node.
 */
export class Station {
  readonly servers: number;
  readonly #engine: Engine;
  #busy = 0;
  #queue: Job[] = [];
  #first = 0;
  #changedAt = 0;
  #since = 0;
  #busyMs = 0;
  #jobMs = 0;
  #ended = 0;
  #stayMs = 0;
  #serviceMs = 0;

  constructor(engine: Engine, servers: number) {
    this.#engine = engine;
    this.servers = servers;
  }

  /** Works for `ms` once a server is free, then calls `done` with the time at which the work began. */
  submit(ms: number, done: (startedAt: number) => void = () => undefined): void {
    this.#count();
    const job = { ms, arrivedAt: this.#engine.now, done };
    if (this.#busy < this.servers) this.#start(job);
    else this.#queue.push(job);
  }

  /** Resets the counts. */
  reset(): void {
    this.#count();
    this.#since = this.#engine.now;
    [this.#busyMs, this.#jobMs, this.#ended, this.#stayMs, this.#serviceMs] = [0, 0, 0, 0, 0];
  }

  figures(): StationFigures {
    this.#count();
    const ms = this.#engine.now - this.#since;
    return {
      utilisation: this.#busyMs / (ms * this.servers),
      meanJobs: this.#jobMs / ms,
      perMs: this.#ended / ms,
      meanStayMs: this.#stayMs / this.#ended,
      meanServiceMs: this.#serviceMs / this.#ended,
      waiting: this.#waiting,
    };
  }

  get #waiting(): number {
    return this.#queue.length - this.#first;
  }

  #start(job: Job): void {
    this.#busy += 1;
    const startedAt = this.#engine.now;
    this.#engine.after(job.ms, () => {
      this.#count();
      this.#busy -= 1;
      this.#ended += 1;
      this.#stayMs += this.#engine.now - job.arrivedAt;
      this.#serviceMs += job.ms;
      const next = this.#queue[this.#first];
      if (next !== undefined) {
        this.#first += 1;
        if (this.#first > 1_000 && this.#first * 2 > this.#queue.length) {
          this.#queue = this.#queue.slice(this.#first);
          this.#first = 0;
        }
        this.#start(next);
      }
      job.done(startedAt);
    });
  }

  #count(): void {
    const ms = this.#engine.now - this.#changedAt;
    this.#busyMs += ms * this.#busy;
    this.#jobMs += ms * (this.#busy + this.#waiting);
    this.#changedAt = this.#engine.now;
  }
}
