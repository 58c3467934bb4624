/** Learns from the numbers of a publisher's notices whether some are missing. */
export class NoticeCounter {
  #term = -1n;
  #count = 0;

  /**
   * Returns AFTER_GAP if notices before this one may be missing, and OLD for a repeated one or one from an earlier
   * publisher.
   */
  receive(term: bigint, number: number): 'NEXT' | 'AFTER_GAP' | 'OLD' {
    if (term < this.#term || (term === this.#term && number <= this.#count)) return 'OLD';
    const isNext = term === this.#term && number === this.#count + 1;
    [this.#term, this.#count] = [term, number];
    return isNext ? 'NEXT' : 'AFTER_GAP';
  }

  /** Returns whether all notices up to this count of a publisher have arrived. */
  hasAll(term: bigint, count: number): boolean {
    const isWhole = term === this.#term && count === this.#count;
    [this.#term, this.#count] = [term, count];
    return isWhole;
  }
}
