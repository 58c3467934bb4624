import { builder } from '../api/builder.ts';
import { encodeId } from '../core/id.ts';

/** The treatment of the messages of an account that is erased. */
export const ErasedMessagesRef = builder.enumType('ErasedMessages', {
  values: {
    KEEP: { description: 'The messages stay, but their `sender` is null.' },
    DELETE: { description: 'The messages are deleted as if by deleteMessage.' },
  },
});

/** An account that has been erased. */
export const AccountGoneRef = builder.objectRef<{ userId: bigint }>('AccountGone').implement({
  description: 'An account that has been erased.',
  fields: (t) => ({ userId: t.id({ resolve: ({ userId }) => encodeId('User', userId) }) }),
});
