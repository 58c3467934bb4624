import type { Caller } from '../core/asker.ts';
import { builder } from '../api/builder.ts';
import type { Chat, User } from '../postgres/generated/prisma/client.ts';

/** The server as seen by its staff. */
export const AdminRef = builder.objectRef<{ asker: Caller }>('Admin');

/** A user as the server staff see them. This is a separate object, because the same row is also a User. */
export type AdminUser = { user: User };

/** A user as the server staff see them. */
export const AdminUserRef = builder.objectRef<AdminUser>('AdminUser');

/** A user's role on the server. */
export const ServerRoleRef = builder.enumType('ServerRole', {
  description: 'A role on the whole server. It is independent of the roles in chats and gives no access to chats.',
  values: {
    USER: {},
    MODERATOR: { description: 'Can see users, resolve reports, and suspend users who have no role.' },
    ADMIN: { description: 'Can see and do everything that staff can see and do.' },
  },
});

/** A chat as server admins see it. This is a separate object, because the same row is also a Chat. */
export type AdminChat = { chat: Chat };

/** A chat as server admins see it. */
export const AdminChatRef = builder.objectRef<AdminChat>('AdminChat');
