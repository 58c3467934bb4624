import type { Refused } from './outbox.ts';
import type { Persistence } from './storage.ts';
import type { Envelope } from './wire.ts';

/** The options with which an app creates a client. */
export type ClientOptions = {
  /** The server, e.g. 'https://chat.example.com'. */
  url: string;
  /** 'memory' by default. */
  persistence?: Persistence;
  /**
   * For a product that signs its users in itself. Called whenever a token is needed, instead of signing in through this
   * client.
   */
  getForeignToken?: () => Promise<string>;
  /** In React Native, pass a `fetch` that supports streaming, such as that of expo/fetch. */
  fetch?: typeof globalThis.fetch;
  /** Called when the server has refused a message. The message is then no longer shown as pending. */
  onRefused?: (refused: Refused) => void;
  /** Called with each event after the client has applied it. */
  onEvent?: (envelope: Envelope) => void;
};
