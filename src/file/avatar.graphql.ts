import { FileRef } from './file.ref.ts';
import { ChatRef } from '../chat/chat.ref.ts';
import { UserRef } from '../people/user.ref.ts';
import type { Chat, User } from '../postgres/generated/prisma/client.ts';
import { setChatAvatar, setOwnAvatar } from './avatar.ts';
import { Forbidden, InvalidInput, NotFound } from '../errors.ts';
import { fileById } from './file-loader.ts';
import { builder } from '../api/builder.ts';
import { requireAsker, type Context } from '../api/context.ts';
import { demandAllowed } from '../api/scope.ts';
import { rootAccess } from '../api/scope-table.ts';
import { decodeId } from '../core/id.ts';

builder.prismaObjectField(UserRef, 'avatar', (t) =>
  t.field({
    type: FileRef,
    nullable: true,
    description: 'Visible to everyone who is signed in; null if the user has no avatar.',
    resolve: ({ avatarFileId }, _, context) => loadAvatar(context, avatarFileId),
  }),
);

builder.prismaObjectField(ChatRef, 'avatar', (t) =>
  t.field({
    type: FileRef,
    nullable: true,
    description:
      'Visible to everyone who can see the chat; null if the chat has no avatar. A single chat never has an avatar.',
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
    description: `Sets the avatar of the viewer or, with \`chatId\`, the avatar of a chat (for owners and admins; a single chat has no avatar). The previous
avatar is deleted, and its links stop working.`,
    args: {
      fileId: t.arg.id({
        description:
          'A picture that the viewer uploaded and that is not used in a message or as an avatar yet. If null, the avatar is removed.',
      }),
      chatId: t.arg.id({ description: 'If null, the avatar of the viewer is set.' }),
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
  demandAllowed(() => asker, rootAccess.Mutation['updateProfile'] ?? 'DEVICE');
  const user = await setOwnAvatar(context.accounts, asker, fileId);
  return user;
}
