import { UserRef } from './user.ref.ts';
import { maxPresenceAudience } from '../live/presence.ts';
import { userById } from './user.ts';
import type { User } from '../postgres/generated/prisma/client.ts';
import { encodeId } from '../core/id.ts';
import { defineNotice } from '../api/event.ts';
import { presenceOf, setPresence, type Presence } from './presence.ts';
import { InvalidInput } from '../errors.ts';
import { builder } from '../api/builder.ts';
import { requireAsker } from '../api/context.ts';

const PresenceStatusRef = builder.enumType('PresenceStatus', {
  values: {
    ONLINE: { description: 'Has a stream open.' },
    AWAY: { description: 'Has one open, and nobody is looking: setPresence said so on each of their devices.' },
    OFFLINE: { description: 'Has none.' },
  },
});

const PresenceRef = builder.objectRef<Presence>('Presence').implement({
  fields: (t) => ({
    status: t.expose('status', { type: PresenceStatusRef }),
    lastSeenAt: t.expose('lastSeenAt', {
      type: 'DateTime',
      nullable: true,
      description: 'When somebody who is OFFLINE was last here; null for one who never was.',
    }),
  }),
});

builder.prismaObjectField(UserRef, 'presence', (t) =>
  t.field({
    type: PresenceRef,
    nullable: true,
    description:
      'For people who share a chat with the viewer, and the viewer; null for others. Who has blocked the viewer looks like one who never was here.',
    resolve: (user, _, context) =>
      context.loaders.of(presenceOf).load({ asker: requireAsker(context), userId: user.id }),
  }),
);

builder.mutationField('setPresence', (t) =>
  t.field({
    type: PresenceRef,
    description:
      'Says whether anybody is looking at this device: AWAY or ONLINE. It holds until the next time, or until all streams of this session have closed.',
    errors: { types: [InvalidInput] },
    args: { status: t.arg({ type: PresenceStatusRef, required: true }) },
    resolve: (_, { status }, context) => setPresence(context.accounts, requireAsker(context), status),
  }),
);

defineNotice('PresenceChanged', {
  description: `Somebody who shares a chat with the viewer came, looked away or went, or the viewer did. Only for subscriptions that ask for
it (\`... on PresenceChanged\`), and not through chats of which more than ${maxPresenceAudience} people are here, nor to very many people: there,
ask for \`User.presence\`. Not stored, never replayed; its envelope repeats the last cursor of this stream. Ask for the
presences that you show after each CaughtUp, for what passed before it you may not have been told.`,
  fields: (t) => ({
    userId: t.id({ resolve: ({ userId }) => encodeId('User', userId) }),
    user: t.field({
      type: UserRef,
      nullable: true,
      resolve: ({ userId }, _, { loaders }): Promise<User | null> => loaders.of(userById).load(userId),
    }),
    presence: t.field({ type: PresenceRef, resolve: ({ presence }) => presence }),
  }),
});
