import type { Channels } from '../redis/channels.ts';
import type { Typing } from './notice.ts';

/** A typing notice for the other nodes, with the last position in the log at the time when the notice was allowed. */
export type PlacedTyping = Typing & { place: bigint };

/** Passes typing notices from node to node through Redis, at most once each. */
export class TypingChannel {
  readonly #channels: Channels;
  readonly #name: string;

  /** `installation`: the name of the database; see `readInstallation`. */
  constructor(channels: Channels, installation: string) {
    this.#channels = channels;
    this.#name = `parley:${installation}:typing`;
  }

  /**
   * Whether notices can be sent through this channel. If not, send notices through PostgreSQL, to which all nodes also
   * listen.
   */
  get isOpen(): boolean {
    return this.#channels.isConnected;
  }

  /** A notice whose delivery Redis does not confirm may have arrived, so it is not sent again through PostgreSQL. */
  send({ chatId, userId, place }: PlacedTyping): void {
    this.#channels.publish(this.#name, `${chatId}.${userId}.${place}`).catch(() => undefined);
  }

  /** Calls `onTyping` for each notice until the returned function is called. */
  listen(onTyping: (typing: PlacedTyping) => void): () => void {
    const subscription = this.#channels.subscribe(this.#name, (message) => {
      const [, chatId, userId, place] = /^(\d{1,19})\.(\d{1,19})\.(\d{1,19})$/.exec(message) ?? [];
      if (chatId === undefined || userId === undefined || place === undefined) return;
      onTyping({ chatId: BigInt(chatId), userId: BigInt(userId), place: BigInt(place) });
    });
    return () => subscription.close();
  }
}
