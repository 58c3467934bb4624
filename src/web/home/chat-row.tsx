import { nameOf, titleOf, useParley, useTyping, useUser, useViewer } from 'parley-client/react';
import type { Chat } from 'parley-client';
import { memo } from 'react';
import { useDraftOf } from '../conversation/draft.ts';
import { ChatAvatar } from '../avatar.tsx';
import { linkTo } from '../route.ts';
import { shortTimeOf } from '../time.ts';

/** A chat in the list, with its newest message and its unread counts. */
export const ChatRow = memo(function ChatRow({ chat, isOpen }: { chat: Chat; isOpen: boolean }) {
  const { unreadCount, unreadMentionCount, notificationLevel } = chat;
  return (
    <a className="chat-row" href={linkTo(chat.id)} aria-current={isOpen ? 'page' : undefined}>
      <ChatAvatar chat={chat} />
      <span className="grow">
        <span className="row tight">
          <strong className={unreadCount > 0 ? 'grow clip' : 'grow clip read'}>{titleOf(chat)}</strong>
          <time className="muted small" dateTime={chat.lastActivityAt}>
            {chat.lastMessage && shortTimeOf(chat.lastMessage.createdAt)}
          </time>
        </span>
        <span className="row tight">
          <Preview chat={chat} />
          {unreadMentionCount > 0 && (
            <span className="badge">
              @<span className="hidden">{unreadMentionCount} mentions</span>
            </span>
          )}
          {unreadCount > 0 && (
            <span className={notificationLevel === 'ALL' ? 'badge' : 'badge quiet'}>
              {unreadCount > 99 ? '99+' : unreadCount}
              <span className="hidden"> unread</span>
            </span>
          )}
        </span>
      </span>
    </a>
  );
});

function Preview({ chat }: { chat: Chat }) {
  const [typing] = useTyping(chat.id);
  const draft = useParley(({ drafts }) => drafts[chat.id]);
  const { files } = useDraftOf(chat.id);
  const viewerId = useViewer()?.user.id;
  const message = chat.lastMessage;
  const sender = useUser(message?.senderId);
  if (typing !== undefined) return <span className="grow clip small preview accent">{nameOf(typing)} is typing …</span>;
  if (draft !== undefined || files.length > 0) {
    return (
      <span className="grow clip small preview">
        <span className="accent">Draft:</span> {draft ?? describeFiles(files)}
      </span>
    );
  }
  if (message === null) return <span className="grow clip small preview muted">Nothing written yet</span>;
  const isOwn = message.senderId === viewerId;
  const by = isOwn ? 'You: ' : chat.type === 'SINGLE' ? '' : `${nameOf(sender)}: `;
  return (
    <span className="grow clip small preview muted">
      {by}
      {textOf(message)}
    </span>
  );
}

function textOf({ content, deletedAt, files }: NonNullable<Chat['lastMessage']>): string {
  if (deletedAt !== null) return 'deleted a message';
  if (content) return content;
  return describeFiles(files);
}

function describeFiles(files: readonly { name: string }[]): string {
  return files.length === 1 ? (files[0]?.name ?? '') : `${files.length} files`;
}
