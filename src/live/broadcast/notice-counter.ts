/** Detects from the numbers of a publisher's notices whether any notices are missing. */
export class NoticeCounter {
  #term = -1n;
  #count = 0;

  /**
   * Returns AFTER_GAP if notices before this one may be missing, and OLD for a notice that is repeated or comes from an
   * earlier publisher.
   */
  receive(term: bigint, number: number): 'NEXT' | 'AFTER_GAP' | 'OLD' {
    if (term < this.#term || (term === this.#term && number <= this.#count)) return 'OLD';
    const isNext = term === this.#term && number === this.#count + 1;
    [this.#term, this.#count] = [term, number];
    return isNext ? 'NEXT' : 'AFTER_GAP';
  }

  /** Returns whether all of a publisher's notices up to this number have arrived. */
  hasAll(term: bigint, count: number): boolean {
    const isWhole = term === this.#term && count === this.#count;
    [this.#term, this.#count] = [term, count];
    return isWhole;
  }
}
