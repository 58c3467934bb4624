import { MemberRef } from '../chat/member.ref.ts';
import { MessageRef } from './message.ref.ts';
import { UserRef } from '../people/user.ref.ts';
import { maxMentions, mentionedIn, unreadMentionCountOf } from './mention.ts';
import { userById } from '../people/user.ts';
import { builder } from '../api/builder.ts';

const MentionRef = builder.objectRef<{ userId: bigint | null }>('Mention').implement({
  description: 'A user, or everyone, mentioned in a message.',
  fields: (t) => ({
    isEveryone: t.boolean({ resolve: ({ userId }) => userId === null }),
    user: t.field({
      type: UserRef,
      nullable: true,
      description: "The mentioned user. Null if everyone is mentioned, and while the user's account is being erased.",
      resolve: ({ userId }, _, { loaders }) => (userId === null ? null : loaders.of(userById).find(userId)),
    }),
  }),
});

builder.prismaObjectField(MessageRef, 'mentions', (t) =>
  t.field({
    type: [MentionRef],
    description: `The mentions that the message had when it was written or last edited: each \`@username\` of a member of the chat, ignoring case, and \`@everyone\` if the sender is an owner or admin (in a single chat, \`@everyone\` is plain text). Only the first ${maxMentions} names count.`,
    complexity: { field: 1, multiplier: maxMentions },
    resolve: async ({ chatId, seq, mentionsEveryone }, _, { loaders }) => {
      const people = await loaders.of(mentionedIn).load({ chatId, seq });
      return [...(mentionsEveryone ? [{ userId: null }] : []), ...people.map((userId) => ({ userId }))];
    },
  }),
);

builder.prismaObjectField(MemberRef, 'unreadMentionCount', (t) =>
  t.int({
    nullable: true,
    description:
      'The number of unread messages that mention this member or everyone, excluding messages by the member. Null for other members. Counted up to 1,000.',
    resolve: ({ chatId, userId }, _, context) =>
      context.asker()?.userId === userId ? context.loaders.of(unreadMentionCountOf).load({ chatId, userId }) : null,
  }),
);
