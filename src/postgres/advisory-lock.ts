/**
 * The keys of all advisory locks. They must match `lock_key` in prisma/migrations, which the functions in the database
 * use. The keys never change, so that nodes that run different versions exclude each other.
 */
export const advisoryLocks = {
  /**
   * Held by the one node that migrates the database while the others wait. Prisma's own migrate commands use the same
   * key.
   */
  migration: 72_707_369,
  /**
   * Transactions that append to the event log take turns. Each of them holds this lock from just before it writes its
   * events until it ends.
   */
  'event log': 7_237_123,
  /** Held by the one node that prunes the log. */
  'event pruning': 7_237_124,
  /** After each start of PostgreSQL, one transaction makes the event ids skip ahead. */
  'event id leap': 7_237_125,
  /** Combined with 32 bits of a hash: only one transaction at a time stores or removes the bytes with that hash. */
  'stored bytes': 7_237_126,
  /** Combined with a user's `storage_lock`: only one transaction at a time adds to the user's stored files. */
  'personal storage': 7_237_127,
  /** Combined with 32 bits of a hash: the tokens of one session or subject are accepted and refused one at a time. */
  'foreign token': 7_237_128,
  /** Webhooks and API keys are created one at a time, so that no two requests can both take the last free slot. */
  'new webhook': 7_237_129,
  /** Only one transaction at a time indexes messages for search. */
  'search index': 7_237_130,
} as const;
