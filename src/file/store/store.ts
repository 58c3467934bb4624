/**
 * Keeps the bytes of files under their SHA-256 in lower-case hex; identical files are stored once. A store knows
 * nothing about permissions. Every method may reject with an error of the store, or with StoreUnavailable if the store
 * is remote and does not answer; `stage` may also reject with StoreFull.
 */
export type FileStore = {
  /** Checks that everything the other methods need is available. Throws CannotStart if it is not. */
  prepare: () => Promise<void>;
  /**
   * Receives bytes, holds few of them in memory, and hashes them as they arrive. The bytes are not in the
   * store yet: the caller then calls `keep` or `discard`. Rejects with the error that `source` throws, and then leaves
   * nothing behind. The store takes ownership of the chunks: their memory is released once they are written.
   */
  stage: (source: AsyncIterable<Uint8Array>) => Promise<StagedBytes>;
  /**
   * Streams bytes `start` to `end`, inclusive; null if they do not exist. The caller must read or destroy the stream.
   */
  open: (hash: string, range: { start: number; end: number }) => Promise<NodeJS.ReadableStream | null>;
  /** Removes the bytes; does nothing if they do not exist. */
  remove: (hash: string) => Promise<void>;
  /** Lists those hashes of kept bytes that begin with these two hex digits. */
  list: (prefix: string) => Promise<string[]>;
  /**
   * Removes bytes that were staged before that time and never kept, for example because of a crash. Returns how many
   * there were.
   */
  sweepStaged: (before: Date) => Promise<number>;
  /** Cancels the requests in progress, so that callers that wait for them, such as housekeeping, can stop. */
  close: () => void;
};

/** The headers that a client receives with bytes that it downloads directly from the store. */
export type LinkHeaders = { contentType: string; disposition: string };

/**
 * A store and, if clients may download from it directly, the function that makes a URL for that. The URL is valid only
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
  /** The path of the file that holds the bytes until they are kept or discarded, or the bytes themselves if inline. */
  content: Buffer | string;
  /**
   * Does the slow part of `keep` ahead of time if the store is remote. Call it before taking locks that others wait
   * for. Nothing refers to the bytes yet, so a sweep may remove them again.
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
