import { UserRef } from './user.ref.ts';
import { maxPresenceAudience } from '../live/presence.ts';
import { userById } from './user.ts';
import type { User } from '../postgres/generated/prisma/client.ts';
import { encodeId } from '../core/id.ts';
import { defineNotice } from '../api/event.ts';
import { maxLeaseSeconds, minLeaseSeconds, presenceOf, setPresence, type Presence } from './presence.ts';
import { InvalidInput } from '../errors.ts';
import { builder } from '../api/builder.ts';
import { findViewer, requireAsker } from '../api/context.ts';
import { defineFeature } from '../api/feature.ts';

defineFeature('PRESENCE');

const PresenceStatusRef = builder.enumType('PresenceStatus', {
  values: {
    ONLINE: { description: 'The user has an open stream.' },
    AWAY: { description: 'The user has an open stream, and all of their devices are set to AWAY.' },
    OFFLINE: { description: 'The user has no open stream.' },
  },
});

const PresenceRef = builder.objectRef<Presence>('Presence').implement({
  fields: (t) => ({
    status: t.expose('status', { type: PresenceStatusRef }),
    lastSeenAt: t.expose('lastSeenAt', {
      type: 'DateTime',
      nullable: true,
      description:
        'When an OFFLINE user was last online. Null if they were never online, and for users who are not OFFLINE.',
    }),
  }),
});

/** The users in `PresenceChanged` events, each with the presence that the event announces to all of its recipients. */
const announced = new WeakMap<User, Presence>();

builder.prismaObjectField(UserRef, 'presence', (t) =>
  t.field({
    type: PresenceRef,
    nullable: true,
    description:
      'Visible to the viewer and to users who share a chat with them; null for others. To someone you have blocked, you appear to be offline and never to have been online.',
    resolve: (user, _, context) => {
      const known = announced.get(user);
      if (known !== undefined) return known;
      const asker = findViewer(context);
      return asker === null ? null : context.loaders.of(presenceOf).load({ asker, userId: user.id });
    },
  }),
);

builder.mutationField('setPresence', (t) =>
  t.field({
    type: PresenceRef,
    description:
      'Sets this device to AWAY or ONLINE. The status lasts until the next call or until all streams of this session are closed.',
    errors: { types: [InvalidInput] },
    args: {
      status: t.arg({ type: PresenceStatusRef, required: true }),
      expiresInSeconds: t.arg.int({
        description: `A lease of ${minLeaseSeconds} to ${maxLeaseSeconds} seconds, which you renew by calling the mutation again. After the lease has expired, this device counts as disconnected until the next call, even if a proxy keeps its streams open. Without a lease, the device counts as connected as long as it has a stream.`,
      }),
    },
    resolve: (_, { status, expiresInSeconds = null }, context) =>
      setPresence(context.accounts, requireAsker(context), { status, expiresInSeconds }),
  }),
);

defineNotice('PresenceChanged', {
  description: `The presence of the viewer or of a user who shares a chat with the viewer has changed. Sent only to subscriptions that select \`... on PresenceChanged\`. It is not sent through chats with more than ${maxPresenceAudience} people online on one node, so fetch \`User.presence\` there. Never stored or replayed; the envelope repeats the last cursor of this stream. After each CaughtUp, fetch the presences that you show, because you may have missed changes.`,
  fields: (t) => ({
    userId: t.id({ resolve: ({ userId }) => encodeId('User', userId) }),
    user: t.field({
      type: UserRef,
      nullable: true,
      description:
        'The `presence` of this user is the presence that this event reports, which is the same for every receiver. If you select it, a normalized cache updates the user.',
      resolve: async ({ userId, presence }, _, { loaders }): Promise<User | null> => {
        const user = await loaders.of(userById).load(userId);
        if (user === null) return null;
        // The user object is copied, because other code may have loaded the same row.
        const shown = { ...user };
        announced.set(shown, presence);
        return shown;
      },
    }),
    presence: t.field({ type: PresenceRef, resolve: ({ presence }) => presence }),
  }),
});
