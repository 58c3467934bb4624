/**
 * The keys of all advisory locks. Must match `lock_key` in prisma/migrations, which the database's own functions use.
 * The keys never change, so that nodes running two different versions exclude each other.
 */
export const advisoryLocks = {
  /** One node migrates while the others wait. Prisma's own migrate commands lock the same key. */
  migration: 72_707_369,
  /**
   * Commits that append to the event log take turns: each holds this lock from just before it writes its events until
   * it ends.
   */
  'event log': 7_237_123,
  /** One node prunes the log at a time. */
  'event pruning': 7_237_124,
  /** After each start of PostgreSQL, one transaction makes the event ids leap ahead. */
  'event id leap': 7_237_125,
  /** Combined with 32 bits of a hash: one transaction at a time stores or removes the bytes with that hash. */
  'stored bytes': 7_237_126,
  /** Combined with a user's `storage_lock`: one transaction at a time adds to what the user has stored. */
  'personal storage': 7_237_127,
  /** Combined with 32 bits of a hash: tokens of one session or subject are accepted and refused one at a time. */
  'foreign token': 7_237_128,
  /** Webhooks, and API keys, are created one at a time, so that no two take the last place. */
  'new webhook': 7_237_129,
  /** Messages are indexed for search by one transaction at a time. */
  'search index': 7_237_130,
} as const;
