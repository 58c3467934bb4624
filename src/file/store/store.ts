/**
 * A store for the bytes of files, which it identifies by their SHA-256 in lower-case hex. It stores identical files
 * only once. A store knows nothing about permissions. Every method may reject with an error of the store, or with
 * StoreUnavailable if the store is remote and does not respond. `stage` may also reject with StoreFull.
 */
export type FileStore = {
  /** Checks that everything the other methods need is available. Throws CannotStart if it is not. */
  prepare: () => Promise<void>;
  /**
   * Receives bytes, hashing them as they arrive and keeping only a few of them in memory. The bytes are not in the
   * store yet, so the caller must call `keep` or `discard`. If `source` throws, rejects with the same error and leaves
   * nothing behind. The store takes ownership of the chunks, and releases their memory once they are written.
   */
  stage: (source: AsyncIterable<Uint8Array>) => Promise<StagedBytes>;
  /**
   * Streams the bytes from `start` to `end`, inclusive; resolves to null if the bytes do not exist. The caller must
   * read or destroy the stream.
   */
  open: (hash: string, range: { start: number; end: number }) => Promise<NodeJS.ReadableStream | null>;
  /** Removes the bytes; does nothing if they do not exist. */
  remove: (hash: string) => Promise<void>;
  /** Lists the stored hashes that begin with these two hex digits. */
  list: (prefix: string) => Promise<string[]>;
  /**
   * Removes bytes that were staged before that time and never kept, for example because of a crash. Returns how many it
   * removed.
   */
  sweepStaged: (before: Date) => Promise<number>;
  /**
   * Cancels the requests in progress, so that callers that are waiting for them, such as housekeeping tasks, can stop.
   */
  close: () => void;
};

/** The headers that a client receives with bytes that it downloads directly from the store. */
export type LinkHeaders = { contentType: string; disposition: string };

/**
 * A store, with a function that creates a URL if clients may download directly from the store. The URL is valid only
 * for GET, and only for a few minutes.
 */
export type StoreAccess = {
  store: FileStore;
  link: ((hash: string, headers: LinkHeaders) => Promise<string>) | null;
};

/** Bytes that have arrived completely. */
export type StagedBytes = {
  hash: string;
  size: number;
  /** The first bytes, at most `headBytes`. */
  head: Buffer;
  /**
   * The path of the file that holds the bytes until they are kept or discarded, or the bytes themselves if they are
   * inline.
   */
  content: Buffer | string;
  /**
   * If the store is remote, does the slow part of `keep` ahead of time. Call `send` before you acquire locks that other
   * requests wait for. Nothing refers to the bytes yet, so a sweep may remove them before `keep` is called.
   */
  send: () => Promise<void>;
  /**
   * Puts the bytes in the store, where they survive a crash; does nothing for inline bytes. The store may already have
   * the same bytes.
   */
  keep: () => Promise<void>;
  /** Removes the staged bytes; does nothing after `keep`. */
  discard: () => Promise<void>;
};

/** How many of a file's first bytes are examined to tell whether it is text. */
export const headBytes = 4_100;
