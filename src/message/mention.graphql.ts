import { MemberRef } from '../chat/member.ref.ts';
import { MessageRef } from './message.ref.ts';
import { UserRef } from '../people/user.ref.ts';
import { maxMentions, mentionedIn, unreadMentionCountOf } from './mention.ts';
import { userById } from '../people/user.ts';
import { builder } from '../api/builder.ts';

const MentionRef = builder.objectRef<{ userId: bigint | null }>('Mention').implement({
  description: 'Somebody whom a message names.',
  fields: (t) => ({
    isEveryone: t.boolean({ resolve: ({ userId }) => userId === null }),
    user: t.field({
      type: UserRef,
      nullable: true,
      description: 'Null for everyone.',
      resolve: ({ userId }, _, { loaders }) => (userId === null ? null : loaders.of(userById).load(userId)),
    }),
  }),
});

builder.prismaObjectField(MessageRef, 'mentions', (t) =>
  t.field({
    type: [MentionRef],
    description: `Whom it named when it was written or last edited: each \`@username\` of a member of the chat, in any case, and \`@everyone\` where an owner or admin says so (in a single chat it is a word). Of more than ${maxMentions} names the first ${maxMentions} count.`,
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
      'How many unread messages of others mention this member or everyone. Null when somebody else asks. Counted up to 1,000.',
    resolve: ({ chatId, userId }, _, context) =>
      context.asker()?.userId === userId ? context.loaders.of(unreadMentionCountOf).load({ chatId, userId }) : null,
  }),
);
