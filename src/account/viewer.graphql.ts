import { ViewerRef } from './viewer.ref.ts';
import { SessionRef } from './session.ref.ts';
import { UserRef } from '../people/user.ref.ts';
import type { User } from '../postgres/generated/prisma/client.ts';
import { listSessions, maxSessionsPerPerson } from './session.ts';
import { hasPassword } from './credentials.ts';
import { maxEmailLength } from './email.ts';
import { hasUser, type Asker } from '../core/asker.ts';
import { userById } from '../people/user.ts';
import { Unauthenticated } from '../errors.ts';
import { builder } from '../api/builder.ts';
import { asciiSize, textSize } from '../api/field-size.ts';
import type { Context } from '../api/context.ts';
import { encodeId } from '../core/id.ts';

ViewerRef.implement({
  description: 'The private data of the signed-in user.',
  fields: (t) => ({
    id: t.id({ resolve: ({ asker }) => encodeId('Viewer', asker.userId) }),
    user: t.field({ type: UserRef, resolve: ({ asker }, _, context) => loadSelf(context, asker) }),
    email: t.string({
      nullable: true,
      description: 'Null for a bot, and for some users who came from another system.',
      extensions: textSize(maxEmailLength),
      resolve: async ({ asker }, _, context) => (await loadSelf(context, asker)).email,
    }),
    isEmailVerified: t.boolean({
      description: 'True if the viewer has confirmed the address, or if the system that they came from vouches for it.',
      resolve: async ({ asker }, _, context) => (await loadSelf(context, asker)).emailVerifiedAt !== null,
    }),
    hasPassword: t.boolean({
      description: 'False if the user came from another system and has not set a password here.',
      resolve: ({ asker }, _, { loaders }) => loaders.of(hasPassword).load(asker.userId),
    }),
    sessions: t.prismaField({
      type: [SessionRef],
      description: 'Most recently used first.',
      complexity: { field: 1, multiplier: maxSessionsPerPerson },
      resolve: (query, { asker }, _, { accounts }) => listSessions(accounts, asker, query),
    }),
    eventCursor: t.string({
      extensions: asciiSize(32),
      description:
        'The cursor of the event log, which is read before everything else in the query. Subscribing with `events(after:)` from here misses nothing;\n' +
        'an event may repeat what the query already shows, so apply events by id.',
      resolve: (_, __, context) => context.eventCursor ?? context.readCursor(),
    }),
  }),
});

builder.queryField('viewer', (t) =>
  t.field({
    type: ViewerRef,
    nullable: true,
    description:
      'Null if there is no access token, and for an API key without a user. An invalid or expired token causes the top-level error UNAUTHENTICATED.',
    resolve: (_, __, context) => {
      const caller = context.asker();
      return caller === null || !hasUser(caller) ? null : { asker: caller };
    },
  }),
);

async function loadSelf({ loaders }: Context, { userId }: Asker): Promise<User> {
  const user = await loaders.of(userById).load(userId);
  if (user === null) throw new Unauthenticated('The account has been deleted.');
  return user;
}
