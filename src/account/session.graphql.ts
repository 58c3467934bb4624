import { SessionRef } from './session.ref.ts';
import { issueStreamToken } from './stream-token.ts';
import { findSessions, maxUserAgentLength, revokeSession, signOut } from './session.ts';
import { NotFound } from '../errors.ts';
import { builder } from '../api/builder.ts';
import { asciiSize, textSize } from '../api/field-size.ts';
import { findViewer, requireAsker } from '../api/context.ts';
import { decodeId } from '../core/id.ts';
import { registerNode } from '../api/node.ts';

builder.prismaObjectFields(SessionRef, (t) => ({
  createdAt: t.expose('createdAt', { type: 'DateTime' }),
  lastUsedAt: t.expose('lastUsedAt', { type: 'DateTime', description: 'When the session last received new tokens.' }),
  userAgent: t.exposeString('userAgent', { nullable: true, extensions: textSize(maxUserAgentLength) }),
  isCurrent: t.boolean({ resolve: ({ id }, _, context) => findViewer(context)?.sessionId === id }),
}));

// A user can look up only their own sessions as nodes.
registerNode('Session', async (context, keys) => {
  const asker = requireAsker(context);
  // A program that acts as a user never sees the user's sessions.
  if (asker.kind === 'KEY') return new Map();
  const sessions = await findSessions(context.accounts, asker, keys.map(BigInt));
  return new Map(sessions.map((session) => [String(session.id), session]));
});

builder.mutationFields((t) => ({
  signOut: t.boolean({
    description: 'Ends the current session, together with its tokens and open streams.',
    resolve: async (_, __, context) => {
      await signOut(context.accounts, requireAsker(context));
      // The rest of the operation runs as if no one were signed in.
      context.asker = () => null;
      return true;
    },
  }),
  revokeSession: t.field({
    type: SessionRef,
    description:
      "Ends one of the viewer's sessions, together with its tokens and open streams. This can be the current session.",
    errors: { types: [NotFound] },
    args: { sessionId: t.arg.id({ required: true }) },
    resolve: (_, { sessionId }, context) =>
      revokeSession(context.accounts, requireAsker(context), decodeId('Session', sessionId, ['sessionId'])),
  }),
}));

builder.mutationField('streamToken', (t) =>
  t.string({
    extensions: asciiSize(2_048),
    description: `A token for the query string (\`/graphql/stream?streamToken=…&query=…\`) of an EventSource in a browser, because an EventSource cannot send headers. The token is valid only for subscriptions. It is valid until the session ends, the user changes the password, or a day passes without a refresh.`,
    resolve: (_, _args, context) => issueStreamToken(context.accounts, requireAsker(context)),
  }),
);
