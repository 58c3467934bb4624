import { deleteAccount } from './account-deletion.ts';
import { InvalidCredentials, InvalidInput } from '../errors.ts';
import { builder } from '../api/builder.ts';
import { requireAsker } from '../api/context.ts';
import { proofDescription } from './proof.ts';
import { AccountGoneRef, ErasedMessagesRef } from './account-deletion.ref.ts';

builder.mutationField('deleteAccount', (t) =>
  t.field({
    type: AccountGoneRef,
    description: `Erases the viewer's account permanently. All sessions of the account end, and its username and email address become available again. Memberships, reactions and files (and, with DELETE, messages) are removed in the background. This takes a few moments, or longer if there are many of them. If the viewer was the only owner of a chat, the chat passes to the longest-standing admin or, if there is no admin, to the longest-standing member. Single chats remain available to the other person.`,
    errors: { types: [InvalidInput, InvalidCredentials] },
    args: {
      password: t.arg.string({ description: proofDescription }),
      messages: t.arg({ type: ErasedMessagesRef, required: true, defaultValue: 'KEEP' }),
    },
    resolve: async (_, { password, messages }, context) => {
      const asker = requireAsker(context);
      await deleteAccount(context.accounts, asker, { password: password ?? null, messages });
      context.continueDeletions();
      // From here on, the operation runs as if no one were signed in.
      context.asker = () => null;
      return { userId: asker.userId };
    },
  }),
);
