import { useChat, useChats, useClient, useConnection } from 'parley-client/react';
import type { Viewer } from 'parley-client';
import { useEffect } from 'react';
import { watchRefusals } from './chat-client.ts';
import { ChatView } from './conversation/chat-view.tsx';
import { describeFailure } from './failure.ts';
import { Banner } from './home/banner.tsx';
import { InviteDialog } from './home/invite-dialog.tsx';
import { Sidebar } from './home/sidebar.tsx';
import { useShortcuts } from './home/shortcut.ts';
import { Welcome } from './home/welcome.tsx';
import { useNotice } from './notice.tsx';
import { useIsPhone } from './phone.ts';
import { closeChat, useRoute } from './route.ts';

/** The page of a signed-in user: the list of chats, and the open chat. */
export function Home({ viewer }: { viewer: Viewer }) {
  const { chatId, seq, inviteCode } = useRoute();
  const chat = useChat(chatId ?? undefined);
  useShortcuts();
  useRefusals();
  useTitle(viewer.unreadChatCount);
  useLostChat(chatId, chat !== undefined);
  // A phone without an open chat shows only the list.
  const isList = useIsPhone() && chat === undefined;
  return (
    <div className={chat === undefined ? 'home' : 'home has-chat'}>
      <Banner />
      <div role={isList ? 'main' : undefined} className="contents">
        {isList && <h1 className="hidden">Chats</h1>}
        <Sidebar viewer={viewer} chatId={chatId} />
      </div>
      {chat === undefined ? <Welcome /> : <ChatView key={chat.id} chat={chat} seq={seq} />}
      {inviteCode !== null && <InviteDialog code={inviteCode} onClose={closeChat} />}
    </div>
  );
}

/** Tells the user why a message was refused, and appends its text to the draft in the field. */
function useRefusals(): void {
  const client = useClient();
  const notify = useNotice();
  useEffect(
    () =>
      watchRefusals(({ chatId, content, error }) => {
        notify(`Not sent: “${shorten(content)}”. ${describeFailure(error)}`, true);
        const { chats, drafts } = client.state;
        // There is no draft in a chat that the user is no longer in.
        if (chats[chatId] === undefined) return;
        client.setDraft(chatId, [drafts[chatId] ?? '', content].filter((text) => text !== '').join('\n'));
      }),
    [client, notify],
  );
}

function shorten(text: string): string {
  return text.length > 60 ? `${text.slice(0, 60)}…` : text;
}

function useTitle(unread: number): void {
  useEffect(() => {
    document.title = unread > 0 ? `(${unread}) parley` : 'parley';
  }, [unread]);
}

/** Closes the open chat after the user has lost access to it. */
function useLostChat(chatId: string | null, hasChat: boolean): void {
  const isLive = useConnection() === 'live';
  const isLoaded = useChats().length > 0;
  useEffect(() => {
    const isLost = chatId !== null && !hasChat && isLive && isLoaded;
    // A chat that the user has just joined may take a moment to arrive.
    const timer = isLost ? setTimeout(closeChat, 3_000) : undefined;
    return () => clearTimeout(timer);
  }, [chatId, hasChat, isLive, isLoaded]);
}
