/** By how much the shortest known delay grows per ms that passes: two clocks may drift apart, and a clock may stop. */
const drift = 0.001;

/**
 * How old a publisher's messages are, without a common clock: the delay of each is compared with the shortest delay of
 * this publisher's messages. So a message that waited in a buffer, because the network stalled or a process was paused,
 * is not taken for a current one.
 */
export class Freshness {
  #term = -1n;
  #shortest = 0;
  #at = 0;

  /**
   * How many ms longer a message took than the fastest. `readAt` is when its content was read, by the publisher's clock;
   * `receivedAt` is when it arrived, by this node's clock.
   */
  excessOf({ term, readAt, receivedAt }: { term: bigint; readAt: number; receivedAt: number }): number {
    const delay = receivedAt - readAt;
    if (term !== this.#term) {
      this.#term = term;
      this.#shortest = delay;
    }
    this.#shortest = Math.min(delay, this.#shortest + Math.max(0, receivedAt - this.#at) * drift);
    this.#at = receivedAt;
    return delay - this.#shortest;
  }
}
