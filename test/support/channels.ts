import type { Channels, Subscription } from '../../src/redis/channels.ts';

/** What can go wrong between a node and the other nodes. */
export type Trouble = {
  /**
   * The longest time that a message takes to reach a node, in ms. Each message takes a random fraction of that time,
   * and the messages in a channel stay in order.
   */
  maxDelayMs?: number;
  /** The fraction of messages that are lost. */
  loss?: number;
};

/** A node's connection to the network, which a test can disturb. */
export type TestChannels = Channels & {
  /** The faults that affect the messages to this node. */
  trouble: Trouble;
  /** Cuts off the node, so that it neither sends nor receives anything. The node knows that it is cut off. */
  cut: () => void;
  /** Cuts off the node without its knowledge, so that its sends seem to succeed. */
  silence: () => void;
  mend: () => void;
};

/**
 * A network in this process that carries messages between nodes as Redis does. `join` connects a node to the network.
 */
export class TestNetwork {
  /** Every message that was published, in order. */
  readonly published: { channel: string; message: string }[] = [];
  readonly #subscribers = new Set<{ channel: string; take: (message: string) => void }>();

  join(trouble: Trouble = {}): TestChannels {
    let state: 'JOINED' | 'CUT' | 'SILENT' = 'JOINED';
    let since = performance.now();
    const channels: TestChannels = {
      trouble,
      get isConnected() {
        return state !== 'CUT';
      },
      publish: async (channel, message) => {
        if (state === 'CUT') throw new Error('cut off');
        if (state === 'SILENT') return;
        this.published.push({ channel, message });
        for (const subscriber of this.#subscribers) if (subscriber.channel === channel) subscriber.take(message);
      },
      subscribe: (channel, onMessage): Subscription => {
        const subscribedAt = performance.now();
        let dueAt = 0;
        const take = (message: string) => {
          const { maxDelayMs = 0, loss = 0 } = channels.trouble;
          if (state !== 'JOINED' || Math.random() < loss) return;
          dueAt = Math.max(dueAt, performance.now() + Math.random() * maxDelayMs);
          setTimeout(
            () => {
              if (this.#subscribers.has(subscriber)) onMessage(message);
            },
            Math.max(0, dueAt - performance.now()),
          );
        };
        const subscriber = { channel, take };
        this.#subscribers.add(subscriber);
        return {
          get since() {
            return state === 'CUT' ? null : Math.max(since, subscribedAt);
          },
          close: () => void this.#subscribers.delete(subscriber),
        };
      },
      cut: () => void (state = 'CUT'),
      silence: () => void (state = 'SILENT'),
      mend: () => {
        state = 'JOINED';
        since = performance.now();
      },
    };
    return channels;
  }
}
