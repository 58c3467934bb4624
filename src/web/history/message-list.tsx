import { titleOf, useClient, useMessages, useReadMarker, useViewer, type Item } from 'parley-client/react';
import type { Chat } from 'parley-client';
import {
  useEffect,
  useRef,
  useState,
  type FocusEvent,
  type KeyboardEvent,
  type PointerEvent,
  type SyntheticEvent,
} from 'react';
import { ChatAvatar } from '../avatar.tsx';
import { describeFailure } from '../failure.ts';
import { Icon } from '../icon.tsx';
import { useMessageActions } from './action.ts';
import { MessageRow } from './message-row.tsx';
import { MessageScroller } from './scroller.tsx';

/** The history of a chat, with the newest messages at the end. `target` is a message to jump to. */
export function MessageList({
  chat,
  target,
  editedId,
}: {
  chat: Chat;
  target: { readonly seq: number } | null;
  editedId: string | null;
}) {
  const viewer = useViewer();
  const { items, hasOlder, hasNewer, isLoading, error, loadOlder, loadNewer, jumpTo } = useMessages(chat.id);
  const scroller = useRef<MessageScroller>(null);
  const [isAtEnd, setAtEnd] = useState(true);
  // The message that was the first unread one when the chat was opened stays marked while the chat is open.
  const [firstUnread] = useState(() => (chat.unreadCount > 0 ? chat.lastReadSeq + 1 : null));
  const { active, stop, watch } = useActiveRow();
  useTarget(target, { items, hasNewer, jumpTo });

  const renderRow = (item: Item, before: Item | undefined, isTabStop: boolean) => (
    <MessageRow
      key={item.key}
      item={item}
      before={before}
      chatId={chat.id}
      viewerId={viewer?.user.id ?? ''}
      isActive={active === item.key}
      isTabStop={isTabStop}
      isEdited={item.message !== null && item.message.id === editedId}
      isTarget={item.message !== null && item.message.seq === target?.seq}
      isFirstUnread={item.message !== null && item.message.seq === firstUnread}
    />
  );
  const showNewest = () => {
    if (hasNewer) jumpTo();
    scroller.current?.toEnd();
  };
  return (
    <div className="history" aria-busy={isLoading} {...watch}>
      {isAtEnd && !hasNewer && <ReadMarker chatId={chat.id} />}
      {items.length === 0 && error !== null && <p className="muted history-note">{describeFailure(error)}</p>}
      {items.length === 0 && error === null && isLoading && <Skeleton />}
      <MessageScroller
        ref={scroller}
        items={items}
        hasOlder={hasOlder}
        hasNewer={hasNewer}
        hasFailed={error !== null}
        loadOlder={loadOlder}
        loadNewer={loadNewer}
        target={target}
        onEnd={setAtEnd}
        stop={stop}
        renderRow={renderRow}
        beginning={<Beginning chat={chat} />}
      />
      {(!isAtEnd || hasNewer) && items.length > 0 && (
        <button className="button to-end" onClick={showNewest}>
          <Icon name="down" />
          {chat.unreadCount > 0 ? `${chat.unreadCount} new` : 'Newest'}
        </button>
      )}
      <LiveRegion item={items.at(-1)} viewerId={viewer?.user.id} />
    </div>
  );
}

/** Loads the part of the history around a target, unless it is already loaded. */
function useTarget(
  target: { readonly seq: number } | null,
  { items, hasNewer, jumpTo }: { items: readonly Item[]; hasNewer: boolean; jumpTo: (seq: number) => void },
): void {
  const sought = useRef<object | null>(null);
  const first = items[0]?.message?.seq;
  const last = items.findLast(({ message }) => message !== null)?.message?.seq;
  useEffect(() => {
    if (target === null || sought.current === target || first === undefined || last === undefined) return;
    sought.current = target;
    if (target.seq < first || (target.seq > last && hasNewer)) jumpTo(target.seq);
  });
}

function ReadMarker({ chatId }: { chatId: string }) {
  useReadMarker(chatId);
  return null;
}

/**
 * Returns which row the pointer or the focus is on, which row the Tab key leads to (null means the newest row), and the
 * event handlers that keep track of both rows.
 */
function useActiveRow() {
  const [active, setActive] = useState<string | null>(null);
  const [stop, setStop] = useState<string | null>(null);
  const note = (event: SyntheticEvent) => {
    // A row's popover, such as its menu, stays open while the pointer crosses other rows on the way to it.
    if (document.querySelector('.popover:popover-open') !== null) return;
    const row = event.target instanceof Element ? event.target.closest<HTMLElement>('[data-key]') : null;
    if (row !== null) setActive(row.dataset['key'] ?? null);
    if (row !== null && event.type === 'focus') setStop(row.dataset['key'] ?? null);
  };
  const { onKeyDown } = useRowKeys();
  const watch = {
    // A finger has no position between touches, so on touch screens the focus determines the row.
    onPointerMove: (event: PointerEvent) => event.pointerType !== 'touch' && note(event),
    // While the user is using the keyboard, a row that scrolls under a resting pointer does not become active.
    onPointerOver: (event: PointerEvent) => {
      const isByKeys = event.currentTarget.querySelector(':focus-visible') !== null;
      if (event.pointerType !== 'touch' && !isByKeys) note(event);
    },
    onFocus: note,
    onBlur: ({ relatedTarget, currentTarget }: FocusEvent) => {
      const isElsewhere = relatedTarget instanceof Node && !currentTarget.contains(relatedTarget);
      // A dialog returns the focus to the button that opened it.
      if (isElsewhere && document.querySelector('dialog[open], .popover:popover-open') === null) setActive(null);
    },
    onPointerLeave: () => document.querySelector('.popover:popover-open') ?? setActive(null),
    onKeyDown,
  };
  return { active, stop, watch };
}

/** The arrow keys move between messages, and other keys act on the focused message. */
function useRowKeys() {
  const { rights, reply, edit, remove, write } = useMessageActions();
  const client = useClient();
  const onKeyDown = (event: KeyboardEvent) => {
    const { target, key } = event;
    if (!(target instanceof HTMLElement) || target.tagName !== 'ARTICLE' || event.ctrlKey || event.metaKey) return;
    const row = target.closest('li');
    const steps: Record<string, Element | null | undefined> = {
      ArrowUp: row?.previousElementSibling,
      ArrowDown: row?.nextElementSibling,
      Home: row?.parentElement?.firstElementChild,
      End: row?.parentElement?.lastElementChild,
    };
    const next = steps[key]?.querySelector<HTMLElement>('article');
    if (next) {
      event.preventDefault();
      next.focus();
      return;
    }
    if (key === 'Escape') return write();
    const { messages } = client.state;
    const shown = Object.values(messages).flatMap((window) => window.messages);
    const message = shown.find(({ id, clientMessageId }) => [id, clientMessageId].includes(row?.dataset['key'] ?? ''));
    if (message === undefined || message.deletedAt !== null) return;
    const isOwn = message.senderId === client.state.viewer?.user.id;
    if (key === '+' && rights.has('SEND_MESSAGE')) row?.querySelector<HTMLElement>('.message-bar button')?.click();
    else if (key === 'r' && rights.has('SEND_MESSAGE')) reply(message);
    else if (key === 'e' && isOwn) edit(message);
    else if (key === 'Delete' && (isOwn || rights.has('DELETE_ANY_MESSAGE'))) remove(message);
    else return;
    event.preventDefault();
  };
  return { onKeyDown };
}

/** Announces other people's new messages to screen reader users. */
function LiveRegion({ item, viewerId }: { item: Item | undefined; viewerId: string | undefined }) {
  const [first] = useState(item?.key);
  const isNew = item !== undefined && item.key !== first && item.message !== null && item.message.senderId !== viewerId;
  const sender = item?.sender?.displayName ?? item?.sender?.username ?? '';
  return (
    <p className="hidden" aria-live="polite">
      {isNew && first !== undefined ? `${sender}: ${item.content ?? ''}` : ''}
    </p>
  );
}

function Beginning({ chat }: { chat: Chat }) {
  return (
    <div className="beginning">
      <ChatAvatar chat={chat} size={56} />
      <h2>{titleOf(chat)}</h2>
      <p className="muted">{chat.description ?? 'This is the beginning of the conversation.'}</p>
    </div>
  );
}

function Skeleton() {
  return (
    <div className="skeleton" role="status" aria-label="Loading messages">
      {[62, 40, 78, 55, 70, 35].map((width) => (
        <div key={width} className="row">
          <span className="portrait" />
          <span className="bar" style={{ width: `${width}%` }} />
        </div>
      ))}
    </div>
  );
}
