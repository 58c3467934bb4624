import { nameOf, useUser, type Item } from 'parley-client/react';
import type { Message, Quote, User } from 'parley-client';
import { memo } from 'react';
import { Avatar } from '../avatar.tsx';
import { Icon } from '../icon.tsx';
import { openChat } from '../route.ts';
import { dayOf, isSameDay, momentOf, timeOf } from '../time.ts';
import { MessageBar } from './message-bar.tsx';
import { EditForm } from './edit-form.tsx';
import { MessageText } from './message-text.tsx';
import { Attachments } from './picture.tsx';
import { Reactions } from './reactions.tsx';

/** What a row needs to know in addition to its message. */
export type RowState = {
  chatId: string;
  viewerId: string;
  /** Whether the pointer or the focus is on the row, which then shows its actions. */
  isActive: boolean;
  /** Whether the Tab key leads to this row. The arrow keys lead to the other rows. */
  isTabStop: boolean;
  isEdited: boolean;
  isTarget: boolean;
  /** Whether this was the first unread message when the chat was opened. */
  isFirstUnread: boolean;
};

type Props = { item: Item; before: Item | undefined } & RowState;

/** Consecutive messages from the same sender are shown as one group if the time between them is less than this. */
const groupMs = 5 * 60_000;

/** One message in a chat. */
export const MessageRow = memo(function MessageRow({ item, before, ...state }: Props) {
  const { message, pending } = item;
  const at = message?.createdAt ?? new Date().toISOString();
  const isNewDay = message !== null && (before?.message == null || !isSameDay(before.message.createdAt, at));
  const isGrouped = !isNewDay && !state.isFirstUnread && continues(item, before);
  const isForViewer = message?.mentions.some((id) => id === null || id === state.viewerId) === true;
  const classes = [
    'message',
    isGrouped ? 'grouped' : '',
    pending ? 'pending' : '',
    state.isTarget ? 'target' : '',
    isForViewer ? 'for-viewer' : '',
  ];
  return (
    <li data-key={item.key} data-seq={message?.seq}>
      {isNewDay && (
        <p className="divider">
          <span>{dayOf(at)}</span>
        </p>
      )}
      {state.isFirstUnread && (
        <p className="divider unread">
          <span>New</span>
        </p>
      )}
      <article className={classes.join(' ')} tabIndex={state.isTabStop ? 0 : -1} aria-label={labelOf(item)}>
        {isGrouped ? (
          <time className="gutter" dateTime={at}>
            {timeOf(at)}
          </time>
        ) : (
          <Avatar user={item.sender} />
        )}
        <div className="grow">
          {!isGrouped && <Heading sender={item.sender} at={at} />}
          {message?.replyTo && <Quoted quote={message.replyTo} chatId={state.chatId} />}
          <Body item={item} state={state} />
        </div>
        {state.isActive && message !== null && message.deletedAt === null && !state.isEdited && (
          <MessageBar message={message} chatId={state.chatId} viewerId={state.viewerId} />
        )}
      </article>
    </li>
  );
});

function Heading({ sender, at }: { sender: User | undefined; at: string }) {
  return (
    <p className="heading">
      <strong>{nameOf(sender)}</strong>
      {sender?.kind === 'BOT' && <span className="tag">Bot</span>}
      <time className="muted small" dateTime={at} title={momentOf(at)}>
        {timeOf(at)}
      </time>
    </p>
  );
}

function Body({ item: { message, pending, content }, state }: { item: Item; state: RowState }) {
  if (message !== null && message.deletedAt !== null) return <p className="muted deleted">This message was deleted.</p>;
  if (message !== null && state.isEdited) return <EditForm message={message} />;
  return (
    <>
      {content !== null && content !== '' && (
        <div className="text">
          <MessageText text={content} />
          {message?.editedAt != null && (
            <span className="muted small" title={momentOf(message.editedAt)}>
              {' '}
              (edited)
            </span>
          )}
          {pending !== null && <PendingMark status={pending.status} />}
        </div>
      )}
      {message !== null && message.files.length > 0 && <Attachments files={message.files} />}
      {message !== null && message.reactions.length > 0 && <Reactions message={message} />}
    </>
  );
}

function PendingMark({ status }: { status: string }) {
  const text = status === 'sending' ? 'Sending' : 'Waiting to be sent';
  return (
    <span className="pending-mark muted" title={text}>
      <Icon name="clock" />
      <span className="hidden">{text}</span>
    </span>
  );
}

function Quoted({ quote, chatId }: { quote: Quote; chatId: string }) {
  const sender = useUser(quote.senderId);
  return (
    <button className="quoted" onClick={() => openChat(chatId, quote.seq)}>
      <Icon name="reply" />
      <span className="clip">
        <strong>{nameOf(sender)}</strong> {quote.content ?? 'deleted'}
      </span>
    </button>
  );
}

function continues({ message, sender, pending }: Item, before: Item | undefined): boolean {
  if (before === undefined || sender === undefined || before.sender?.id !== sender.id) return false;
  if (message?.replyTo) return false;
  const last = before.message;
  if (last === null) return pending !== null;
  const at = message === null ? Date.now() : Date.parse(message.createdAt);
  return at - Date.parse(last.createdAt) < groupMs;
}

function labelOf({ sender, content, message, pending }: Item): string {
  const text = content ?? 'deleted message';
  const files = describeFiles(message);
  return `${nameOf(sender)}: ${text}${files}${pending === null ? '' : ', not sent yet'}`;
}

function describeFiles(message: Message | null): string {
  const count = message?.files.length ?? 0;
  return count === 0 ? '' : `, ${count} ${count === 1 ? 'file' : 'files'}`;
}
