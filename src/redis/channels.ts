/**
 * Messages between the nodes. Each message arrives at most once. The messages in a channel arrive in the order in which
 * they were published, except while a cluster is being resharded.
 */
export type Channels = {
  /** Whether messages can currently be sent and received. */
  readonly isConnected: boolean;
  /**
   * Sends a message to all nodes that subscribe to the channel. Rejects within about a second if Redis does not confirm
   * the message; it is then unknown whether the message was sent.
   */
  publish: (channel: string, message: string) => Promise<void>;
  /**
   * Subscribes to a channel, and subscribes again after each loss of the connection, until `close` is called. Never
   * throws.
   */
  subscribe: (channel: string, onMessage: (message: string) => void) => Subscription;
};

/** A subscription to one channel. */
export type Subscription = {
  /**
   * The time from which this node receives every message in the channel, in ms of `performance.now()`, or null while it
   * is not subscribed.
   */
  readonly since: number | null;
  close: () => void;
};
