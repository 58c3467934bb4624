import { useClient } from 'parley-client/react';
import type { Chat, Message } from 'parley-client';
import { useCallback, useEffect, useMemo, useState } from 'react';
import { MessageActionsProvider, type MessageActions } from '../history/action.ts';
import { MessageList } from '../history/message-list.tsx';
import { useAttempt, useNotice } from '../notice.tsx';
import { graphql, query } from 'parley-client/tada';
import { useUi } from '../ui.tsx';
import { ConfirmDialog } from '../confirm.tsx';
import { ReportDialog } from '../history/report-dialog.tsx';
import { ChatHeader } from './chat-header.tsx';
import { Composer } from './composer.tsx';
import { Panel } from './panel.tsx';
import { useChatFacts } from './rights.ts';
import { TypingLine } from './typing-line.tsx';
import { DropZone } from './drop-zone.tsx';
import { useDraftActions } from './draft.ts';

const pinDocument = graphql(
  'mutation Pin($id: ID!) { pinMessage(messageId: $id) { __typename ... on Error { code message } } }',
);
const unpinDocument = graphql(
  'mutation Unpin($id: ID!) { unpinMessage(messageId: $id) { __typename ... on Error { code message } } }',
);
const rewindDocument = graphql(
  'mutation Rewind($id: ID!, $seq: Int!) { markRead(chatId: $id, seq: $seq, rewind: true) { __typename ... on Error { code message } } }',
);

/** An open chat: its history, the composer, and the open side panel. */
export function ChatView({ chat, seq }: { chat: Chat; seq: number | null }) {
  const { rights, memberCount } = useChatFacts(chat.id);
  const [edited, setEdited] = useState<Message | null>(null);
  const draft = useDraftActions(chat.id);
  const target = useTarget(seq);
  const actions = useActions({ chat, rights, setReplyTo: draft.reply, setEdited });
  const canWrite = rights.has('SEND_MESSAGE');
  return (
    <MessageActionsProvider value={actions}>
      <DropZone className="chat" isOpen={canWrite} take={draft.add}>
        <main className="chat-main" aria-label="Chat">
          <ChatHeader chat={chat} memberCount={memberCount} />
          <MessageList chat={chat} target={target} editedId={edited?.id ?? null} />
          <TypingLine chatId={chat.id} />
          {canWrite ? (
            <Composer chat={chat} draft={draft} editLast={setEdited} />
          ) : (
            <p className="cannot-write muted">{reasonOf(chat)}</p>
          )}
        </main>
        <Panel chat={chat} rights={rights} />
      </DropZone>
    </MessageActionsProvider>
  );
}

function reasonOf({ mutedUntil, type }: Chat): string {
  if (mutedUntil !== null) return 'You are muted here: you can read, but not write.';
  return type === 'SINGLE' ? 'You cannot write to this person.' : 'You cannot write here.';
}

/** Returns a new target each time the address asks for a message, even if the message is the same as before. */
function useTarget(seq: number | null): { readonly seq: number } | null {
  const [target, setTarget] = useState(() => (seq === null ? null : { seq }));
  useEffect(() => {
    const update = () => setTarget(seq === null ? null : { seq });
    update();
    addEventListener('hashchange', update);
    return () => removeEventListener('hashchange', update);
  }, [seq]);
  return target;
}

function useActions({
  chat,
  rights,
  setReplyTo,
  setEdited,
}: {
  chat: Chat;
  rights: ReadonlySet<string>;
  setReplyTo: (message: Message | null) => void;
  setEdited: (message: Message | null) => void;
}): MessageActions {
  const client = useClient();
  const attempt = useAttempt();
  const notify = useNotice();
  const { showDialog } = useUi();
  const writeBelow = useCallback(() => document.querySelector<HTMLElement>('.composer textarea')?.focus(), []);
  return useMemo(() => {
    const close = () => showDialog(null);
    return {
      rights,
      write: writeBelow,
      reply: (message) => {
        setReplyTo(message);
        writeBelow();
      },
      edit: (message) => {
        setEdited(message);
        if (message === null) writeBelow();
      },
      react: (message, emoji) => {
        const has = message.reactions.some((reaction) => reaction.emoji === emoji && reaction.viewerReacted);
        void attempt(() => (has ? client.removeReaction(message.id, emoji) : client.addReaction(message.id, emoji)));
      },
      remove: (message) => {
        const confirm = () => attempt(() => client.deleteMessage(message.id));
        showDialog(
          <ConfirmDialog
            title="Delete this message?"
            text={message.content ?? ''}
            action="Delete"
            confirm={confirm}
            onClose={close}
          />,
        );
      },
      report: (message) => showDialog(<ReportDialog message={message} onClose={close} />),
      pin: (message, isPinned) =>
        void attempt(() => {
          const { id } = message;
          return isPinned ? query(client, pinDocument, { id }) : query(client, unpinDocument, { id });
        }).then((isDone) => isDone && notify(isPinned ? 'Pinned.' : 'Unpinned.')),
      markUnread: (message) => void attempt(() => query(client, rewindDocument, { id: chat.id, seq: message.seq - 1 })),
      copy: (text) =>
        void attempt(() => navigator.clipboard.writeText(text)).then((isDone) => isDone && notify('Copied.')),
    };
  }, [client, attempt, notify, showDialog, writeBelow, rights, chat.id, setReplyTo, setEdited]);
}
