import type { Chat } from './state.ts';

/** The largest number of unread messages that is counted, as in the API. */
const maxUnread = 1_000;

type Counts = Partial<Pick<Chat, 'lastReadSeq' | 'unreadCount' | 'unreadMentionCount'>>;

/**
 * Describes how an event changes a chat's counts. If `isExact` is false, only the server knows what the counts are now.
 */
export type CountChange = (chat: Chat) => { counts: Counts; isExact: boolean };

/**
 * Counts the event at this position once, no matter how often the event is applied. Returns the chat, and whether its
 * counts are now uncertain because the event may have been counted already, or because the event does not say how it
 * changes the counts.
 */
export function count(chat: Chat, position: number, change: CountChange): { chat: Chat; isUncertain: boolean } {
  if (position <= chat.countedAt) return { chat, isUncertain: false };
  const { counts, isExact } = change(chat);
  const isUncertain = !isExact || chat.exactAfter === null || position <= chat.exactAfter;
  return { chat: { ...chat, ...counts, countedAt: position }, isUncertain };
}

const exact = (counts: Counts) => ({ counts, isExact: true });

type Origin = { isOwn: boolean; mentionsViewer: boolean };

/**
 * A new message. The viewer's own message moves their read marker to the end. Any other message after the marker is
 * unread.
 */
export const newMessage =
  (seq: number, { isOwn, mentionsViewer }: Origin): CountChange =>
  ({ lastReadSeq, unreadCount, unreadMentionCount }) => {
    if (isOwn) return exact({ lastReadSeq: Math.max(seq, lastReadSeq), unreadCount: 0, unreadMentionCount: 0 });
    if (seq <= lastReadSeq) return exact({});
    return exact({
      unreadCount: Math.min(unreadCount + 1, maxUnread),
      unreadMentionCount: Math.min(unreadMentionCount + Number(mentionsViewer), maxUnread),
    });
  };

/**
 * A deleted message is no longer counted as unread. The deleted message no longer shows whether it mentioned the
 * viewer.
 */
export const deletedMessage =
  (seq: number, { isOwn }: Origin): CountChange =>
  ({ lastReadSeq, unreadCount, unreadMentionCount }) => {
    if (isOwn || seq <= lastReadSeq) return exact({});
    const isExact = unreadMentionCount === 0 && unreadCount < maxUnread;
    return { counts: { unreadCount: Math.max(unreadCount - 1, 0) }, isExact };
  };

/** An edit may add or remove a mention. If no mention was counted, none was removed. */
export const editedMessage =
  (seq: number, { isOwn, mentionsViewer }: Origin): CountChange =>
  ({ lastReadSeq, unreadMentionCount }) => {
    if (isOwn || seq <= lastReadSeq) return exact({});
    return unreadMentionCount > 0
      ? { counts: {}, isExact: false }
      : exact({ unreadMentionCount: Number(mentionsViewer) });
  };

/**
 * The read marker has moved. If it is not at the end, only the server knows how many of the messages after it are
 * counted.
 */
export const readTo =
  (lastReadSeq: number): CountChange =>
  ({ lastSeq, unreadCount }) =>
    lastReadSeq >= lastSeq
      ? exact({ lastReadSeq, unreadCount: 0, unreadMentionCount: 0 })
      : { counts: { lastReadSeq, unreadCount: Math.min(unreadCount, lastSeq - lastReadSeq) }, isExact: false };

/** Returns whether `Viewer.unreadChatCount` includes a chat. */
export function isUnread({ notificationLevel, unreadCount, unreadMentionCount }: Chat): boolean {
  if (notificationLevel === 'NONE') return false;
  return (notificationLevel === 'MENTIONS' ? unreadMentionCount : unreadCount) > 0;
}
