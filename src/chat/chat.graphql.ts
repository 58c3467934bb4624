import type { GraphQLResolveInfo } from 'graphql';
import { MemberConnectionRef, MemberRef } from './member.ref.ts';
import { ChatConnectionRef, ChatRef, ChatTypeRef } from './chat.ref.ts';
import { ViewerRef } from '../account/viewer.ref.ts';
import type { Chat } from '../postgres/generated/prisma/client.ts';
import { createChat, maxMembersPerCall, visibleChatOf } from './chat.ts';
import { memberByKey, membersOf } from './member.ts';
import { activityKey, companions, listChats, type Companion } from '../message/listed-chat.ts';
import { openChat } from '../message/opened-chat.ts';
import { lists, readPage, type PageRequest } from '../postgres/page.ts';
import { maxCustomBytes } from '../core/custom.ts';
import { maxExternalKeyLength } from '../core/external-key.ts';
import { maxDescriptionLength, maxNameLength } from '../core/text.ts';
import { Forbidden, InvalidInput, NotFound } from '../errors.ts';
import { builder } from '../api/builder.ts';
import { asciiSize, textSize } from '../api/field-size.ts';
import { pageComplexity, toConnection } from '../api/connection.ts';
import { findViewer, requireAsker } from '../api/context.ts';
import { argumentsAhead, namesAhead } from '../api/look-ahead.ts';
import { decodeId } from '../core/id.ts';
import { foundNodes, registerNode } from '../api/node.ts';

builder.prismaObjectFields(ChatRef, (t) => ({
  type: t.expose('type', { type: ChatTypeRef }),
  name: t.exposeString('name', {
    nullable: true,
    extensions: textSize(maxNameLength),
    description: "Null for a single chat; show the other person's name instead.",
  }),
  description: t.exposeString('description', { nullable: true, extensions: textSize(maxDescriptionLength) }),
  createdAt: t.expose('createdAt', { type: 'DateTime' }),
  lastSeq: t.exposeInt('lastSeq', { description: 'The seq of the newest message, or 0 if the chat is empty.' }),
  lastActivityAt: t.expose('lastActivityAt', {
    type: 'DateTime',
    description: '`Viewer.chats` is sorted by this time.',
  }),
  memberCount: t.exposeInt('memberCount'),
  slowModeSeconds: t.exposeInt('slowModeSeconds', {
    description:
      'How many seconds a member must wait between messages; 0 if slow mode is off. Owners and admins are exempt. A message that is sent too early is refused with RATE_LIMITED and `retryAfterSeconds`.',
  }),
  key: t.exposeString('key', {
    nullable: true,
    extensions: asciiSize(maxExternalKeyLength),
    description:
      'The key that the embedding product uses for the chat, e.g. `order:42`. The key is unique on the server.',
  }),
  custom: t.expose('custom', {
    type: 'JSON',
    extensions: asciiSize(maxCustomBytes),
    description: 'An object that only programs with an API key can change.',
  }),
  members: t.field({
    type: MemberConnectionRef,
    args: t.arg.connectionArgs(),
    complexity: pageComplexity,
    resolve: async (chat, args, { loaders }) => {
      const page = await loaders.ofPage(membersOf, readPage(args, lists.members)).load(chat.id);
      return toConnection(lists.members, page, ({ userId }) => [userId]);
    },
  }),
  viewerMembership: t.field({
    type: MemberRef,
    nullable: true,
    description:
      'Null if the viewer is not a member (for example, when reading a public channel), and for an API key without a user.',
    resolve: (chat, _, context) => {
      const viewer = findViewer(context);
      return viewer && context.loaders.of(memberByKey).load({ chatId: chat.id, userId: viewer.userId });
    },
  }),
}));

registerNode('Chat', async (context, keys) => {
  const asker = requireAsker(context);
  const chats = await context.loaders.of(visibleChatOf).loadMany(keys.map((key) => ({ chatId: BigInt(key), asker })));
  return foundNodes(keys, chats);
});

/**
 * Returns the page of messages that the operation selects from the chat. Returns null if it selects no page or if its
 * arguments are invalid.
 */
function messagesAhead(info: GraphQLResolveInfo): PageRequest | null {
  const args = argumentsAhead(info, 'Chat', 'messages');
  try {
    return args && readPage(args, lists.messages);
  } catch (error) {
    if (error instanceof InvalidInput) return null;
    throw error;
  }
}

builder.queryField('chat', (t) =>
  t.field({
    type: ChatRef,
    nullable: true,
    args: { id: t.arg.id({ required: true }) },
    resolve: async (_, { id }, context, info): Promise<Chat | null> => {
      const reader = { asker: requireAsker(context), chatId: decodeId('Chat', id, ['id']) };
      const page = messagesAhead(info);
      if (page !== null) return openChat(context.loaders, reader, page);
      return context.loaders.of(visibleChatOf).load(reader);
    },
  }),
);

/** Returns the companions that the operation selects for the chats of a list. */
function companionsAhead(info: GraphQLResolveInfo): ReadonlySet<Companion> {
  const ofChat = namesAhead(info, ['edges', 'node']);
  const ofMember = namesAhead(info, ['edges', 'node', 'viewerMembership']);
  return new Set(companions.filter((name) => ofChat.has(name) || ofMember.has(name)));
}

builder.objectField(ViewerRef, 'chats', (t) =>
  t.field({
    type: ChatConnectionRef,
    description: 'Newest activity first.',
    args: { ...t.arg.connectionArgs(), type: t.arg({ type: ChatTypeRef }) },
    complexity: pageComplexity,
    resolve: async ({ asker }, { type, ...args }, context, info) => {
      const page = readPage(args, lists.chats);
      const list = { type: type ?? null, page, wanted: companionsAhead(info) };
      return toConnection(lists.chats, await listChats(context, asker, list), activityKey);
    },
  }),
);

const CreateChatInput = builder.inputType('CreateChatInput', {
  fields: (t) => ({
    type: t.field({ type: ChatTypeRef, required: true }),
    memberIds: t.idList({
      description: `At most ${maxMembersPerCall} people. For SINGLE, exactly one other person; if a single chat with that person already exists, it is returned unchanged.`,
    }),
    name: t.string({
      description: `Required for channels, optional for groups, and not allowed for SINGLE. One line of 1 to ${maxNameLength} characters.`,
    }),
    description: t.string({
      description: `1 to ${maxDescriptionLength} characters; the only control characters allowed are newline and tab.`,
    }),
  }),
});

builder.mutationField('createChat', (t) =>
  t.field({
    type: ChatRef,
    description: `The viewer becomes the owner of the chat; a single chat has no owner. Forbidden if any of the other users has blocked the viewer.`,
    errors: { types: [InvalidInput, NotFound, Forbidden] },
    args: { input: t.arg({ type: CreateChatInput, required: true }) },
    resolve: (_, { input }, context) =>
      createChat(context.db, requireAsker(context), {
        type: input.type,
        memberIds: (input.memberIds ?? []).map((id, index) => decodeId('User', id, ['memberIds', String(index)])),
        name: input.name ?? null,
        description: input.description ?? null,
      }),
  }),
);
