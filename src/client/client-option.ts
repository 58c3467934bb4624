import type { Refused } from './outbox.ts';
import type { Persistence } from './storage.ts';
import type { Envelope } from './wire.ts';

/** What an app chooses when it creates a client. */
export type ClientOptions = {
  /** The server, e.g. 'https://chat.example.com'. */
  url: string;
  /** 'memory' by default. */
  persistence?: Persistence;
  /** For a product that signs its users in itself: called whenever a token is needed, instead of signing in here. */
  getForeignToken?: () => Promise<string>;
  /** In React Native, one that streams, such as that of expo/fetch. */
  fetch?: typeof globalThis.fetch;
  /** Called when the server has refused a message. The message is no longer shown as pending. */
  onRefused?: (refused: Refused) => void;
  /** Called with each event after it has been applied. */
  onEvent?: (envelope: Envelope) => void;
};
