import { builder } from '../api/builder.ts';
import { pageComplexity, toConnection } from '../api/connection.ts';
import { textSize } from '../api/field-size.ts';
import { registerNode } from '../api/node.ts';
import { chatById } from '../chat/chat.ts';
import { ChatTypeRef } from '../chat/chat.ref.ts';
import { maxNameLength } from '../core/text.ts';
import { lists, readPage } from '../postgres/page.ts';
import { searchCost } from '../search/search-turn.ts';
import { listAllChats } from './admin-chat.ts';
import { AdminChatRef, AdminRef, type AdminChat } from './admin.ref.ts';
import { isAllowed } from './staff.ts';

builder.node(AdminChatRef, {
  description: 'A chat as seen by server admins: only metadata, because a role on the server gives no access to chats.',
  id: { resolve: ({ chat }) => String(chat.id) },
  fields: (t) => ({
    type: t.field({ type: ChatTypeRef, resolve: ({ chat }) => chat.type }),
    name: t.string({ nullable: true, extensions: textSize(maxNameLength), resolve: ({ chat }) => chat.name }),
    memberCount: t.int({ resolve: ({ chat }) => chat.memberCount }),
    lastSeq: t.int({
      description: 'How many messages have been sent in the chat, including deleted ones.',
      resolve: ({ chat }) => chat.lastSeq,
    }),
    createdAt: t.field({ type: 'DateTime', resolve: ({ chat }) => chat.createdAt }),
    lastActivityAt: t.field({ type: 'DateTime', resolve: ({ chat }) => chat.lastActivityAt }),
  }),
});

registerNode('AdminChat', async ({ loaders, asker }, keys) => {
  const reader = asker();
  if (reader === null || !(await isAllowed(loaders, reader, 'listChats'))) return new Map();
  const chats = await Promise.all(keys.map((key) => loaders.of(chatById).load(BigInt(key))));
  return new Map(chats.flatMap((chat) => (chat === null ? [] : [[String(chat.id), { chat }]])));
});

const AdminChatConnectionRef = builder.connectionObject(
  { type: AdminChatRef, name: 'AdminChatConnection' },
  { name: 'AdminChatEdge' },
);

builder.objectField(AdminRef, 'chats', (t) =>
  t.field({
    type: AdminChatConnectionRef,
    nullable: true,
    description: 'For admins. Newest first. `search` finds chats whose name starts with this text.',
    args: { search: t.arg.string(), ...t.arg.connectionArgs() },
    complexity: (args) => ({ ...pageComplexity(args), field: searchCost }),
    resolve: async ({ asker }, { search, ...args }, { loaders, searches }) => {
      if (!(await isAllowed(loaders, asker, 'listChats'))) return null;
      const page = await listAllChats(searches, asker, {
        search: search ?? null,
        page: readPage(args, lists.adminChats),
      });
      return toConnection(
        lists.adminChats,
        { ...page, rows: page.rows.map((chat): AdminChat => ({ chat })) },
        ({ chat }) => [chat.id],
      );
    },
  }),
);
