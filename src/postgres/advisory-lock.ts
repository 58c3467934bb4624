/**
 * The keys of all advisory locks. Twin of `lock_key` in prisma/migrations, by which the database's own functions take
 * them. They are the same in every version, so that nodes of two versions keep out of each other's way.
 */
export const advisoryLocks = {
  /** One node migrates, the others wait. The key that Prisma's own migrate commands lock. */
  migration: 72_707_369,
  /** Commits that append to the event log take turns, from their stamp to their end. */
  'event log': 7_237_123,
  /** One node prunes the log at a time. */
  'event pruning': 7_237_124,
  /** One transaction lets the ids of events leap after a start of PostgreSQL. */
  'event id leap': 7_237_125,
  /** With 32 bits of a hash: bytes are kept and removed by one transaction at a time. */
  'stored bytes': 7_237_126,
  /** With `storage_lock` of a user: one transaction at a time adds to what they have stored. */
  'personal storage': 7_237_127,
} as const;
