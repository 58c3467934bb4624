/**
 * Where bytes are kept: each under the SHA-256 of its content, in lower-case hex, and once. A store knows nothing of who
 * may see what. Every method may reject with a fault of the store, or with StoreUnavailable when that is somewhere else and
 * doesn't answer; `stage` with StoreFull besides.
 */
export type FileStore = {
  /** Looks whether everything is there that the others need. Throws CannotStart when it isn't. */
  prepare: () => Promise<void>;
  /**
   * Takes bytes in, past memory, and hashes them on the way. They are nowhere yet: the caller says `keep` or `discard`.
   * Rejects with what `source` throws, and then leaves nothing behind. The chunks are given away: their memory is released
   * when they have been written.
   */
  stage: (source: AsyncIterable<Uint8Array>) => Promise<StagedBytes>;
  /** The bytes from `start` to and with `end`; null when they are not there. The caller reads or destroys the stream. */
  open: (hash: string, range: { start: number; end: number }) => Promise<NodeJS.ReadableStream | null>;
  /** Does nothing when they are not there. */
  remove: (hash: string) => Promise<void>;
  /** The hashes of all that is kept which begin with these two digits. */
  list: (prefix: string) => Promise<string[]>;
  /** Removes what was staged before that and never kept, as a crash leaves it behind. Says how many. */
  sweepStaged: (before: Date) => Promise<number>;
  /** Cancels the requests under way, so that callers that wait for them, such as housekeeping, can stop. */
  close: () => void;
};

/** What a client gets with bytes that it fetches from the store itself. */
export type LinkHeaders = { contentType: string; disposition: string };

/** A store, and where clients may go to it themselves, what makes a URL for that: for a GET, for some minutes. */
export type StoreAccess = {
  store: FileStore;
  link: ((hash: string, headers: LinkHeaders) => Promise<string>) | null;
};

/** Bytes that have come in whole. */
export type StagedBytes = {
  hash: string;
  size: number;
  /** The first of them. */
  head: Buffer;
  /** Where they can be read until they are kept or discarded: the path of a file; themselves, where they are inline. */
  content: Buffer | string;
  /**
   * Does ahead what takes long of `keep` where the store is somewhere else. Call it before there are locks that others
   * wait for; nothing refers to the bytes yet, so they may be swept again.
   */
  send: () => Promise<void>;
  /** From here on they are in the store, also after a crash, where they are in a file. The same bytes may be there already. */
  keep: () => Promise<void>;
  /** They are gone. Does nothing after `keep`. */
  discard: () => Promise<void>;
};

/** How many of a file's first bytes are looked at to tell whether it is text. */
export const headBytes = 4_100;
