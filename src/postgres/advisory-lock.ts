/**
 * The keys of all advisory locks. Twin of `lock_key` in prisma/migrations, which the database's own functions use. The
 * keys never change, so that nodes running two different versions exclude each other.
 */
export const advisoryLocks = {
  /** One node migrates while the others wait. Prisma's own migrate commands lock the same key. */
  migration: 72_707_369,
  /** Commits that append to the event log take turns: each holds this from its stamp until it ends. */
  'event log': 7_237_123,
  /** One node prunes the log at a time. */
  'event pruning': 7_237_124,
  /** After a start of PostgreSQL, one transaction advances the event ids by a leap. */
  'event id leap': 7_237_125,
  /** With 32 bits of a hash: one transaction at a time stores or removes those bytes. */
  'stored bytes': 7_237_126,
  /** With `storage_lock` of a user: one transaction at a time adds to what the user has stored. */
  'personal storage': 7_237_127,
} as const;
