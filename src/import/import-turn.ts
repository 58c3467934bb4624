import { RateLimited } from '../errors.ts';

/** How many imports a node receives at the same time; each import may keep a database connection busy. */
const maxImports = 4;
/** How long a refused client should wait. */
const retryAfterSeconds = 30;

/** Limits how many imports a node receives at the same time. */
export class ImportTurns {
  #running = 0;

  /** Runs `work`. Throws RateLimited if the node is already receiving the maximum number of imports. */
  async during<Result>(work: () => Promise<Result>): Promise<Result> {
    if (this.#running >= maxImports) {
      throw new RateLimited('The server is receiving too many imports: try again later.', retryAfterSeconds);
    }
    this.#running += 1;
    try {
      return await work();
    } finally {
      this.#running -= 1;
    }
  }
}
