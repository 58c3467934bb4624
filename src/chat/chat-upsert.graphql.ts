import { builder } from '../api/builder.ts';
import { requireCaller, requireProgram } from '../api/context.ts';
import { hasUser } from '../core/asker.ts';
import { maxCustomBytes, maxCustomDepth } from '../core/custom.ts';
import { maxExternalKeyLength } from '../core/external-key.ts';
import { decodeId } from '../core/id.ts';
import { maxDescriptionLength, maxNameLength } from '../core/text.ts';
import { Forbidden, InvalidInput, NotFound } from '../errors.ts';
import { findChatByKey } from './chat.ts';
import { ChatRef, ChatTypeRef } from './chat.ref.ts';
import { maxUpsertMembers, upsertChat } from './chat-upsert.ts';

builder.queryField('chatByKey', (t) =>
  t.field({
    type: ChatRef,
    nullable: true,
    description:
      'The chat for which the embedding product uses this key; null if the viewer cannot see it. A server key needs the scope CHATS_READ, and can find every chat.',
    args: { key: t.arg.string({ required: true }) },
    resolve: (_, { key }, context) => {
      const caller = requireCaller(context);
      return findChatByKey(context.db, hasUser(caller) ? caller : null, key);
    },
  }),
);

const UpsertChatInput = builder.inputType('UpsertChatInput', {
  description: 'Omitted fields are not changed; null removes a name, a description or custom data.',
  fields: (t) => ({
    key: t.string({
      required: true,
      description: `The key that you use for the chat, e.g. \`order:42\`. 1 to ${maxExternalKeyLength} visible ASCII characters. Case matters.`,
    }),
    type: t.field({
      type: ChatTypeRef,
      required: true,
      description: 'Groups and channels can be converted into each other. A single chat has exactly two members.',
    }),
    name: t.string({ description: `Required for channels. One line of 1 to ${maxNameLength} characters.` }),
    description: t.string({ description: `1 to ${maxDescriptionLength} characters.` }),
    memberIds: t.idList({
      description: `If given, the chat has exactly these members after the call: at most ${maxUpsertMembers} people. An empty list removes all members.`,
    }),
    ownerIds: t.idList({
      description:
        'If given, exactly these members are owners after the call: at least one. You can moderate and delete the chat if you act as an owner. Not allowed for single chats.',
    }),
    custom: t.field({
      type: 'JSON',
      description: `Replaces the whole object. At most ${maxCustomBytes} bytes and ${maxCustomDepth} levels deep.`,
    }),
  }),
});

builder.mutationField('upsertChat', (t) =>
  t.field({
    type: ChatRef,
    description:
      'For API keys with the scope CHATS_WRITE. Creates the chat with this key, or updates it if it exists, so repeating the call does not create a second chat. The chat has no owner unless you name some owners or the key acts as a user who is one of the first members. The chat still exists after its last member leaves.',
    errors: { types: [InvalidInput, NotFound, Forbidden] },
    args: { input: t.arg({ type: UpsertChatInput, required: true }) },
    resolve: (_, { input }, context) =>
      upsertChat(context.db, requireProgram(context, 'CHATS_WRITE'), {
        key: input.key,
        type: input.type,
        name: input.name,
        description: input.description,
        memberIds: input.memberIds?.map((id, index) => decodeId('User', id, ['memberIds', String(index)])),
        ownerIds: input.ownerIds?.map((id, index) => decodeId('User', id, ['ownerIds', String(index)])),
        custom: input.custom,
      }),
  }),
);
