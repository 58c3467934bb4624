import type { Chat, FileInfo, Member, Message, Presence, Reaction, User } from './state.ts';

/** The types of the data that the documents in document.ts select. */
type Id = { id: string };
/** A user, with the fields that the documents select. */
export type WireUser = User;
/** A message with its users. The store keeps users separately from messages. */
export type WireMessage = Omit<Message, 'senderId' | 'mentions' | 'replyTo' | 'reactions' | 'files'> & {
  sender: WireUser | null;
  mentions: readonly { isEveryone: boolean; user: Id | null }[];
  replyTo: { id: string; seq: number; content: string | null; deletedAt: string | null; sender: Id | null } | null;
  files: readonly FileInfo[];
  reactions: readonly WireReaction[];
};
/** Events are the same for all viewers, so a reaction in an event does not say whether the viewer reacted. */
export type WireReaction = Omit<Reaction, 'viewerReacted'> & { viewerReacted?: boolean };
type ChatFace = Pick<Chat, 'id' | 'type' | 'name' | 'description' | 'slowModeSeconds' | 'avatar' | 'custom'>;
/** A chat with the viewer’s membership, which is null if they only read the chat. */
export type WireChat = ChatFace &
  Pick<Chat, 'lastSeq' | 'lastActivityAt'> & {
    peer: WireUser | null;
    lastMessage: WireMessage | null;
    viewerMembership: Pick<
      Chat,
      'role' | 'mutedUntil' | 'notificationLevel' | 'lastReadSeq' | 'unreadCount' | 'unreadMentionCount'
    > | null;
  };
/** A member with their user. */
export type WireMember = Member & { user: WireUser };

type InChat<Fields> = Fields & { chat: Id };

/** An event from the log, or a notice about the stream, with the fields that the subscription selects. */
export type WireEvent =
  | { __typename: 'NewMessage'; message: WireMessage & { chat: Id & { lastActivityAt: string } } }
  | { __typename: 'MessageEdited' | 'MessageDeleted'; message: InChat<WireMessage> }
  | {
      __typename: 'ReactionsChanged';
      message: InChat<Id & { reactions: readonly WireReaction[] }>;
      emoji: string;
      userId: string;
      added: boolean;
    }
  | { __typename: 'ReadMarkerMoved'; member: InChat<{ lastReadSeq: number }> }
  | { __typename: 'NotificationLevelChanged'; member: InChat<{ notificationLevel: string }> }
  | { __typename: 'NewChat'; chat: Id }
  | { __typename: 'AddToChat'; chat: ChatFace; addedCount: number; members: readonly WireMember[] }
  | { __typename: 'RemoveFromChat'; chatId: string; userId: string }
  | { __typename: 'ChatUpdated'; chat: ChatFace }
  | { __typename: 'ChatDeleted'; chatId: string }
  | { __typename: 'MemberUpdated'; member: InChat<Member & { user: Id }> }
  /** The store does not keep pins. The app gets this event through `onEvent`. */
  | { __typename: 'PinsChanged'; pinned: boolean; message: InChat<Id> }
  | { __typename: 'UserUpdated'; user: WireUser | null }
  | { __typename: 'PresenceChanged'; userId: string; presence: Presence }
  | { __typename: 'Typing'; chatId: string; userId: string; user: WireUser | null }
  | { __typename: 'CaughtUp'; replayed: number }
  | { __typename: 'Reset'; reason: string };

/** An event, with its position in the log. */
export type Envelope = { readonly cursor: string; readonly at: string; readonly event: WireEvent };

/** A page of messages, in the order of the chat. */
export type WirePage = {
  edges: readonly { node: WireMessage }[];
  pageInfo: { hasPreviousPage: boolean; hasNextPage: boolean };
};
