import { nameOf, titleOf, useClient, useDraft, useUser } from 'parley-client/react';
import type { Chat, Message, State } from 'parley-client';
import {
  useEffect,
  useLayoutEffect,
  useRef,
  useState,
  type ClipboardEvent,
  type KeyboardEvent,
  type RefObject,
} from 'react';
import { EmojiButton } from '../emoji.tsx';
import { Form } from '../form.tsx';
import { Icon } from '../icon.tsx';
import { MentionList, useMentions } from './mention.tsx';
import { UploadList } from './upload-list.tsx';
import type { DraftActions } from './draft.ts';

/** The server stops showing a user as typing after five seconds. */
const typingMs = 3_000;

type Props = {
  chat: Chat;
  draft: DraftActions;
  editLast: (message: Message) => void;
};

/** The form for writing a message. */
export function Composer({ chat, draft, editLast }: Props) {
  const client = useClient();
  const [text, setText] = useDraft(chat.id);
  const field = useRef<HTMLTextAreaElement>(null);
  const mentions = useMentions(chat.id, { text, setText, field });
  const showTyping = useTypingSignal(chat.id);
  const { files, replyTo } = draft;
  const endReply = () => {
    draft.reply(null);
    field.current?.focus();
  };
  const isUploading = files.some(({ file }) => file === null);
  const canSend = !isUploading && (text.trim() !== '' || files.length > 0);
  useGrowth(field, text);
  useFocusOnDesktop(field);

  const send = () => {
    if (!canSend) return;
    const fileIds = files.flatMap(({ file }) => file?.id ?? []);
    const reply = replyTo !== null && { replyToId: replyTo.id };
    // Refusals may arrive much later, so the page shows them.
    client.sendMessage(chat.id, { content: text, ...reply, ...(fileIds.length > 0 && { fileIds }) }).catch(() => {});
    setText('');
    draft.clear();
    field.current?.focus();
  };
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.nativeEvent.isComposing || mentions.onKeyDown(event)) return;
    const isEmpty = text === '' && files.length === 0;
    const last = event.key === 'ArrowUp' && !event.altKey && isEmpty ? findLastOwn(client.state, chat.id) : undefined;
    if (event.key === 'Enter' && !event.shiftKey) send();
    else if (event.key === 'Escape' && replyTo !== null) endReply();
    else if (last !== undefined) editLast(last);
    else return;
    event.preventDefault();
    event.stopPropagation();
  };
  return (
    <Form className="composer" submit={send}>
      <MentionList {...mentions} />
      {replyTo !== null && <ReplyBar message={replyTo} onEnd={endReply} />}
      {files.length > 0 && <UploadList draft={draft} />}
      <div className="composer-row">
        <FilePicker take={draft.add} />
        <textarea
          ref={field}
          rows={1}
          value={text}
          placeholder={`Message ${titleOf(chat)}`}
          aria-label={`Message ${titleOf(chat)}`}
          {...mentions.fieldProps}
          onChange={({ target }) => {
            setText(target.value);
            mentions.update(target);
            if (target.value.trim() !== '') showTyping();
          }}
          onSelect={({ currentTarget }) => mentions.update(currentTarget)}
          onBlur={mentions.close}
          onKeyDown={onKeyDown}
          onPaste={(event) => pasteFiles(event, draft)}
        />
        <EmojiButton label="Insert an emoji" choose={(emoji) => setText(insert(emoji, text, field.current))} />
        <button className="icon-button send" aria-label="Send" title="Send (Enter)" disabled={!canSend}>
          <Icon name="send" />
        </button>
      </div>
    </Form>
  );
}

/** Returns the viewer's newest message, so that it can be edited. */
function findLastOwn({ messages, viewer }: State, chatId: string): Message | undefined {
  return messages[chatId]?.messages.findLast(
    ({ senderId, deletedAt }) => senderId === viewer?.user.id && deletedAt === null,
  );
}

/**
 * Returns the text of a field after replacing the selection with a piece of text. Also focuses the field and puts the
 * caret after the piece.
 */
function insert(piece: string, text: string, field: HTMLTextAreaElement | null): string {
  const { selectionStart: start, selectionEnd: end } = field ?? {
    selectionStart: text.length,
    selectionEnd: text.length,
  };
  const caret = start + piece.length;
  // Wait until the new text is in the field.
  requestAnimationFrame(() => field?.setSelectionRange(caret, caret));
  field?.focus();
  return text.slice(0, start) + piece + text.slice(end);
}

function ReplyBar({ message, onEnd }: { message: Message; onEnd: () => void }) {
  const sender = useUser(message.senderId);
  return (
    <div className="reply-bar row">
      <Icon name="reply" />
      <span className="grow clip small">
        Reply to <strong>{nameOf(sender)}</strong> <span className="muted">{message.content}</span>
      </span>
      <button type="button" className="icon-button" aria-label="Do not reply" onClick={onEnd}>
        <Icon name="close" />
      </button>
    </div>
  );
}

function FilePicker({ take }: { take: DraftActions['add'] }) {
  const input = useRef<HTMLInputElement>(null);
  return (
    <>
      <button
        type="button"
        className="icon-button"
        aria-label="Attach files"
        title="Attach files"
        onClick={() => input.current?.click()}
      >
        <Icon name="attach" />
      </button>
      <input
        ref={input}
        type="file"
        multiple
        hidden
        onChange={({ target }) => {
          take([...(target.files ?? [])]);
          target.value = '';
        }}
      />
    </>
  );
}

function pasteFiles(event: ClipboardEvent, { add }: DraftActions): void {
  const files = [...event.clipboardData.files];
  if (files.length === 0) return;
  event.preventDefault();
  add(files);
}

function useTypingSignal(chatId: string): () => void {
  const client = useClient();
  const last = useRef(0);
  return () => {
    if (Date.now() - last.current < typingMs) return;
    last.current = Date.now();
    client.startTyping(chatId);
  };
}

/** Makes the field as tall as its text. */
function useGrowth(field: RefObject<HTMLTextAreaElement | null>, text: string): void {
  useLayoutEffect(() => {
    const { current } = field;
    if (current === null) return;
    current.style.height = 'auto';
    current.style.height = `${current.scrollHeight}px`;
  }, [field, text]);
}

/** Focuses the field, except on a phone, where the keyboard would cover what the user wants to read. */
function useFocusOnDesktop(field: RefObject<HTMLTextAreaElement | null>): void {
  const [isDesktop] = useState(() => matchMedia('(hover: hover)').matches);
  useEffect(() => {
    if (isDesktop) field.current?.focus();
  }, [field, isDesktop]);
}
