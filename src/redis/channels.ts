/**
 * Messages between the nodes. A message arrives at most once, and those of one channel arrive in the order in which
 * they were published, except while a cluster changes its layout.
 */
export type Channels = {
  /** Whether messages can currently be sent and received. */
  readonly isConnected: boolean;
  /**
   * Sends a message to all nodes that subscribe to the channel. Rejects within about a second if Redis does not confirm
   * it; it is then unknown whether it was sent.
   */
  publish: (channel: string, message: string) => Promise<void>;
  /** Subscribes to a channel, again after each loss of the connection, until `close`. Never throws. */
  subscribe: (channel: string, onMessage: (message: string) => void) => Subscription;
};

/** A subscription to one channel. */
export type Subscription = {
  /**
   * Since when every message of the channel has been on its way to this node, in ms of `performance.now()`; null while
   * the channel is not subscribed to.
   */
  readonly since: number | null;
  close: () => void;
};
