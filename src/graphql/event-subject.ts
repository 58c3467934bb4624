import type { Chat, Member, Message, User } from '../database/generated/prisma/client.ts';
import { idsIn, numberIn, type LoggedEvent } from '../realtime/event.ts';
import type { Presence } from '../realtime/presence.ts';
import type { Loaders } from './loaders.ts';

/** What happened, with the rows that it is about as they are at delivery. */
export type EventValue =
  | { kind: 'NewChat'; chat: Chat }
  | { kind: 'AddToChat'; chat: Chat; memberIds: bigint[]; eventId: bigint; addedCount: number }
  | { kind: 'RemoveFromChat'; chatId: bigint; userId: bigint }
  | { kind: 'ChatUpdated'; chat: Chat }
  | { kind: 'ChatDeleted'; chatId: bigint }
  | { kind: 'NewMessage'; message: Message }
  | { kind: 'MessageEdited'; message: Message }
  | { kind: 'MessageDeleted'; message: Message }
  | { kind: 'MemberUpdated'; member: Member }
  | { kind: 'ReadMarkerMoved'; member: Member }
  | { kind: 'NotificationLevelChanged'; member: Member }
  | { kind: 'UserUpdated'; user: User }
  | { kind: 'ReactionsChanged'; message: Message; emoji: string; userId: bigint; added: boolean }
  | { kind: 'PinsChanged'; message: Message; pinned: boolean }
  | { kind: 'Typing'; chatId: bigint; userId: bigint }
  | { kind: 'PresenceChanged'; userId: bigint; presence: Presence }
  | { kind: 'CaughtUp'; replayed: number }
  | { kind: 'Reset'; reason: string };

/** One event on its way: where it stands in the log, and when it happened. */
export type Envelope = { cursor: string; at: Date; event: EventValue };

/**
 * The event with its subject, or null for one that nobody is told of: its subject is gone (the event that removed it
 * follows), or its kind is internal or newer than this program. Throws when the database can't be asked.
 */
export async function loadEvent(event: LoggedEvent, loaders: Loaders): Promise<EventValue | null> {
  const { kind, chatId, userId, messageId } = event;
  switch (kind) {
    case 'NewChat':
    case 'ChatUpdated': {
      const chat = chatId === null ? null : await loaders.chat.load(chatId);
      return chat && { kind, chat };
    }
    case 'AddToChat': {
      const chat = chatId === null ? null : await loaders.chat.load(chatId);
      const memberIds = idsIn(event, 'user_ids');
      return chat && { kind, chat, memberIds, eventId: event.id, addedCount: numberIn(event, 'added_count') };
    }
    case 'RemoveFromChat':
      return chatId === null || userId === null ? null : { kind, chatId, userId };
    case 'ChatDeleted':
      return chatId === null ? null : { kind, chatId };
    case 'NewMessage':
    case 'MessageEdited':
    case 'MessageDeleted': {
      const message = messageId === null ? null : await loaders.message.load(messageId);
      return message && { kind, message };
    }
    case 'MemberUpdated': {
      const [memberId] = idsIn(event, 'user_ids');
      const isNamed = chatId !== null && memberId !== undefined;
      const member = isNamed ? await loaders.member.load({ chatId, userId: memberId }) : null;
      return member && { kind, member };
    }
    case 'ReadMarkerMoved':
    case 'NotificationLevelChanged': {
      const member = chatId === null || userId === null ? null : await loaders.member.load({ chatId, userId });
      return member && { kind, member };
    }
    case 'UserUpdated': {
      const user = userId === null ? null : await loaders.user.load(userId);
      return user && { kind, user };
    }
    case 'ReactionsChanged':
    case 'PinsChanged': {
      const message = messageId === null ? null : await loaders.message.load(messageId);
      // With a deleted message went what hung on it.
      if (message === null || message.deletedAt !== null) return null;
      const { emoji, added, pinned } = event.detail ?? {};
      if (kind === 'PinsChanged') return { kind, message, pinned: pinned === true };
      if (typeof emoji !== 'string' || event.actorId === null) return null;
      return { kind, message, emoji, userId: event.actorId, added: added === true };
    }
    default:
      return null;
  }
}
