import { FileRef } from './file.ref.ts';
import { ChatRef } from '../chat/chat.ref.ts';
import { UserRef } from '../people/user.ref.ts';
import type { Chat, User } from '../postgres/generated/prisma/client.ts';
import { setChatAvatar, setOwnAvatar } from './avatar.ts';
import { Forbidden, InvalidInput, NotFound } from '../errors.ts';
import { fileById } from './file-loader.ts';
import { builder } from '../api/builder.ts';
import { requireAsker, type Context } from '../api/context.ts';
import { decodeId } from '../core/id.ts';

builder.prismaObjectField(UserRef, 'avatar', (t) =>
  t.field({
    type: FileRef,
    nullable: true,
    description: 'A picture, for everybody signed in; null for who has none.',
    resolve: ({ avatarFileId }, _, context) => loadAvatar(context, avatarFileId),
  }),
);

builder.prismaObjectField(ChatRef, 'avatar', (t) =>
  t.field({
    type: FileRef,
    nullable: true,
    description: 'A picture, for whoever sees the chat; null where there is none, as in a single chat.',
    resolve: ({ avatarFileId }, _, context) => loadAvatar(context, avatarFileId),
  }),
);

function loadAvatar({ loaders }: Context, fileId: bigint | null) {
  return fileId === null ? null : loaders.of(fileById).load(fileId);
}

builder.mutationField('setAvatar', (t) =>
  t.errorUnionField({
    types: [UserRef, ChatRef, InvalidInput, NotFound, Forbidden],
    union: { name: 'SetAvatarResult', resolveType: (value) => ('username' in value ? 'User' : 'Chat') },
    description: `Gives the viewer an avatar, or, with \`chatId\`, a chat (for owners and admins; a single chat has none). The one
before is gone, with its links.`,
    args: {
      fileId: t.arg.id({
        description:
          'A picture that the viewer has uploaded, and that no message or avatar is yet. Null takes it away.',
      }),
      chatId: t.arg.id({ description: 'Null for oneself.' }),
    },
    resolve: (_, args, context) => setAvatar(context, args),
  }),
);

async function setAvatar(
  context: Context,
  args: { fileId?: string | null | undefined; chatId?: string | null | undefined },
): Promise<User | Chat> {
  const asker = requireAsker(context);
  const fileId = args.fileId == null ? null : decodeId('File', args.fileId, ['fileId']);
  if (args.chatId != null) {
    const chat = await setChatAvatar(context.db, asker, {
      chatId: decodeId('Chat', args.chatId, ['chatId']),
      fileId,
    });
    return chat;
  }
  const user = await setOwnAvatar(context.accounts, asker, fileId);
  return user;
}
