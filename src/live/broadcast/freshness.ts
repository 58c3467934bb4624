/**
 * How much the shortest known delay grows per ms, because the two clocks may drift apart, and either clock may stop.
 */
const drift = 0.001;

/**
 * Measures how old a publisher's messages are, without a common clock: compares the delay of each message with the
 * shortest delay of that publisher's messages. A message that waited in a buffer, because the network stalled or a
 * process was paused, is thus recognised as old.
 */
export class Freshness {
  #term = -1n;
  #shortest = 0;
  #at = 0;

  /**
   * Returns how many ms longer a message took than the fastest message. `readAt` is when the publisher read the
   * content, by the publisher's clock; `receivedAt` is when the message arrived, by this node's clock.
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
