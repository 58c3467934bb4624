/**
 * How many chats are tracked separately. Once there are that many, the next change makes the renderings of all chats
 * outdated.
 */
const maxChats = 1_000;

/**
 * Says which renderings must not be shown again, because a message of their chat has since been edited or deleted, or
 * the log has been replaced. Every such change begins an edition; a rendering belongs to the one that was current
 * before its rows were read. A rendering is checked only when it is wanted, so a change costs the same however many
 * renderings are kept. A change to one chat leaves the renderings of the others valid.
 */
export class Outdated {
  #edition = 0;
  /** The edition with which all earlier renderings became outdated. */
  #ofAll = 0;
  readonly #byChat = new Map<bigint, number>();

  /** The current edition. */
  get edition(): number {
    return this.#edition;
  }

  /** Begins an edition: all earlier renderings of this chat (null: of all chats) are now outdated. */
  begin(chatId: bigint | null): void {
    this.#edition += 1;
    if (chatId !== null && this.#byChat.size < maxChats) {
      this.#byChat.set(chatId, this.#edition);
      return;
    }
    this.#byChat.clear();
    this.#ofAll = this.#edition;
  }

  /** Whether a rendering of that edition may be shown. One without a chat (null) may be about any chat. */
  isCurrent(edition: number, chatId: bigint | null): boolean {
    if (edition === this.#edition) return true;
    if (chatId === null || edition < this.#ofAll) return false;
    return edition >= (this.#byChat.get(chatId) ?? 0);
  }
}
