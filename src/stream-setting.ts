import { wholeNumber, type Setting } from './setting.ts';

/** The settings that limit streams and subscriptions. */
export const streamSettings = {
  maxStreamsPerSession: {
    name: 'MAX_STREAMS_PER_SESSION',
    default: '20',
    wants: wholeNumber(0, 100_000),
    meaning:
      'The maximum number of open streams per session on a node. Single-connection streams are counted across all nodes. 0 means no limit.',
  },
  maxStreamsPerAddress: {
    name: 'MAX_STREAMS_PER_ADDRESS',
    default: '1000',
    wants: wholeNumber(0, 1_000_000),
    meaning: 'The maximum number of open streams per network address on a node. 0 means no limit.',
  },
  maxOperationsPerStream: {
    name: 'MAX_OPERATIONS_PER_STREAM',
    default: '100',
    wants: wholeNumber(0, 10_000),
    meaning: 'The maximum number of concurrent operations on a single-connection stream. 0 means no limit.',
  },
  maxSubscriptionComplexity: {
    name: 'MAX_SUBSCRIPTION_COMPLEXITY',
    default: '100000',
    wants: wholeNumber(0, 1_000_000_000),
    meaning:
      "The maximum total complexity, per event, of a person's subscriptions on a node. Each distinct document counts as its complexity, but as at least 500. Each additional subscription with the same document counts as 10, and is refused only above twice the maximum, so that clients can reconnect. 0 means no limit.",
  },
  maxStreamBufferBytes: {
    name: 'MAX_STREAM_BUFFER_BYTES',
    default: '1048576',
    wants: wholeNumber(0, 1_073_741_824),
    meaning:
      'The maximum number of unsent bytes per stream. A stream that exceeds this limit continues from the log at the pace of its reader. 0 means no limit.',
  },
  maxReplayEvents: {
    name: 'MAX_REPLAY_EVENTS',
    default: '0',
    wants: wholeNumber(0, 1_000_000_000),
    meaning:
      'The maximum number of events in a replay; a client that missed more events receives Reset. 0 means no limit.',
  },
  maxReplayBytes: {
    name: 'MAX_REPLAY_BYTES',
    default: '0',
    wants: wholeNumber(0, 1_000_000_000_000),
    meaning:
      'The maximum number of bytes in a replay; a client that missed more bytes receives Reset. 0 means no limit.',
  },
} satisfies Record<string, Setting>;
