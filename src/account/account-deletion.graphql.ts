import { deleteAccount } from './account-deletion.ts';
import { InvalidCredentials, InvalidInput } from '../errors.ts';
import { builder } from '../api/builder.ts';
import { requireAsker } from '../api/context.ts';
import { proofDescription } from './proof.ts';
import { AccountGoneRef, ErasedMessagesRef } from './account-deletion.ref.ts';

builder.mutationField('deleteAccount', (t) =>
  t.field({
    type: AccountGoneRef,
    description: `Erases the viewer's account permanently. All its sessions end, and its username and email address become available
again. Memberships, reactions and files (and messages, with DELETE) are removed in the background, which takes moments, or longer if
there are many. A chat that only the viewer owned passes to the longest-standing admin, or to the longest-standing
member if there is no admin. A single chat stays with the other person.`,
    errors: { types: [InvalidInput, InvalidCredentials] },
    args: {
      password: t.arg.string({ description: proofDescription }),
      messages: t.arg({ type: ErasedMessagesRef, required: true, defaultValue: 'KEEP' }),
    },
    resolve: async (_, { password, messages }, context) => {
      const asker = requireAsker(context);
      await deleteAccount(context.accounts, asker, { password: password ?? null, messages });
      context.continueDeletions();
      // The rest of the operation runs as if no one were signed in.
      context.asker = () => null;
      return { userId: asker.userId };
    },
  }),
);
