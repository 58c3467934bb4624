import type { Listener } from './listener.ts';
import type { Membership } from '../log/log-reader.ts';

/**
 * A change of membership that has passed the hub: `membership` is null when it ended, WHOLE when it shows the whole
 * history from then on, and OWN when it again shows only the member's part.
 */
export type MembershipChange = { eventId: bigint; chatId: bigint; membership: Membership | null | 'WHOLE' | 'OWN' };

/** A person with an open stream on this node, and their memberships as far as the hub has read the log. */
export class Person {
  readonly userId: bigint;
  readonly listeners = new Set<Listener>();
  readonly memberships = new Map<bigint, Membership>();
  /** The changes that pass the hub until the snapshot has arrived; null afterwards. */
  pending: MembershipChange[] | null = [];
  /** Resolves when the memberships are known. */
  loaded: Promise<void> = Promise.resolve();

  constructor(userId: bigint) {
    this.userId = userId;
  }
}
