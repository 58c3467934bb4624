import type { Listener } from './listener.ts';
import type { Membership } from '../log/log-reader.ts';

/**
 * A change of membership that has passed through the hub: `membership` is null if the membership ended, WHOLE if the
 * member sees the whole history from then on, and OWN if the member again sees only their own part of it.
 */
export type MembershipChange = { eventId: bigint; chatId: bigint; membership: Membership | null | 'WHOLE' | 'OWN' };

/**
 * A person with an open stream on this node, and the person's memberships at the log position that the hub has reached.
 */
export class Person {
  readonly userId: bigint;
  readonly listeners = new Set<Listener>();
  readonly memberships = new Map<bigint, Membership>();
  /**
   * The changes that have passed through the hub while the snapshot is being read; null once the snapshot has arrived.
   */
  pending: MembershipChange[] | null = [];
  /** Resolves when the memberships are known. */
  loaded: Promise<void> = Promise.resolve();

  constructor(userId: bigint) {
    this.userId = userId;
  }
}
