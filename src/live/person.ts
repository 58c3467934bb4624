import type { Listener } from './listener.ts';
import type { Membership } from '../log/log-reader.ts';

/**
 * A change of membership that has passed through the hub: `membership` is null if it ended, WHOLE if the member sees
 * the whole history from then on, and OWN if they again see only their part.
 */
export type MembershipChange = { eventId: bigint; chatId: bigint; membership: Membership | null | 'WHOLE' | 'OWN' };

/** A person with an open stream on this node, and their memberships as far as the hub has read the log. */
export class Person {
  readonly userId: bigint;
  readonly listeners = new Set<Listener>();
  readonly memberships = new Map<bigint, Membership>();
  /** The changes that pass through the hub until the snapshot has arrived; null afterwards. */
  pending: MembershipChange[] | null = [];
  /** Resolves when the memberships are known. */
  loaded: Promise<void> = Promise.resolve();

  constructor(userId: bigint) {
    this.userId = userId;
  }
}
