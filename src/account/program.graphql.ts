import { builder } from '../api/builder.ts';
import { continueAs, requireProgram } from '../api/context.ts';
import { decodeId } from '../core/id.ts';
import { Forbidden, NotFound } from '../errors.ts';
import { createUserSession } from './program-session.ts';
import { SignedInRef } from './signed-in.ref.ts';

builder.mutationField('createUserSession', (t) =>
  t.field({
    type: SignedInRef,
    description: `For a program with the scope ACT_AS that has already authenticated the user. Opens a session, and returns the tokens to pass on to the client of that user. Not allowed for bots or suspended users; for staff, the key needs the scope of their role. The rest of the operation
runs as the user.`,
    errors: { types: [NotFound, Forbidden] },
    args: { userId: t.arg.id({ required: true }) },
    resolve: async (_, { userId }, context) =>
      continueAs(
        context,
        await createUserSession(context.accounts, requireProgram(context, 'ACT_AS'), {
          userId: decodeId('User', userId, ['userId']),
          userAgent: null,
        }),
      ),
  }),
);
