/**
 * The maximum number of chats that are tracked separately. Once that many chats are tracked, the next change makes the
 * renderings of all chats outdated.
 */
const maxChats = 1_000;

/**
 * Tracks which renderings must no longer be shown, because a message of their chat has since been edited or deleted, or
 * because the log has been replaced. Every such change begins a new edition. A rendering belongs to the edition that
 * was current before its rows were read. A rendering is checked only when it is needed, so a change costs the same no
 * matter how many renderings are cached. A change to one chat leaves the renderings of other chats valid.
 */
export class Outdated {
  #edition = 0;
  /** The last edition that made the renderings of all chats outdated. */
  #ofAll = 0;
  readonly #byChat = new Map<bigint, number>();

  /** The current edition. */
  get edition(): number {
    return this.#edition;
  }

  /** Begins a new edition, which makes all earlier renderings of this chat (null: of all chats) outdated. */
  begin(chatId: bigint | null): void {
    this.#edition += 1;
    if (chatId !== null && this.#byChat.size < maxChats) {
      this.#byChat.set(chatId, this.#edition);
      return;
    }
    this.#byChat.clear();
    this.#ofAll = this.#edition;
  }

  /**
   * Returns whether a rendering of that edition may be shown. A rendering without a chat (null) may be about any chat.
   */
  isCurrent(edition: number, chatId: bigint | null): boolean {
    if (edition === this.#edition) return true;
    if (chatId === null || edition < this.#ofAll) return false;
    return edition >= (this.#byChat.get(chatId) ?? 0);
  }
}
