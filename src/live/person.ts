import type { Listener } from './listener.ts';
import type { Membership } from '../log/event-log.ts';

/**
 * A change of membership that the hub has passed: `membership` is null for the end of one, WHOLE for one that shows the
 * whole history from here on, and OWN for one that shows its own part of it again.
 */
export type MembershipChange = { eventId: bigint; chatId: bigint; membership: Membership | null | 'WHOLE' | 'OWN' };

/** Somebody with an open stream on this node, and what they are a member of as far as the hub has read the log. */
export class Person {
  readonly userId: bigint;
  readonly listeners = new Set<Listener>();
  readonly memberships = new Map<bigint, Membership>();
  /** Until the snapshot is there, what the hub passes meanwhile waits here. */
  pending: MembershipChange[] | null = [];
  /** Resolves when the memberships are known. */
  loaded: Promise<void> = Promise.resolve();

  constructor(userId: bigint) {
    this.userId = userId;
  }
}
