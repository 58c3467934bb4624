import { titleOf, usePresence } from 'parley-client/react';
import type { Chat } from 'parley-client';
import { ChatAvatar } from '../avatar.tsx';
import { Icon, type IconName } from '../icon.tsx';
import { closeChat } from '../route.ts';
import { agoOf } from '../time.ts';
import { useUi, type Panel } from '../ui.tsx';

const buttons: readonly { panel: Panel; icon: IconName; label: string }[] = [
  { panel: 'search', icon: 'search', label: 'Search messages' },
  { panel: 'pins', icon: 'pin', label: 'Pinned messages' },
  { panel: 'details', icon: 'info', label: 'Details and members' },
];

/** The header of a chat: its name and status, and buttons that open the side panels. */
export function ChatHeader({ chat, memberCount }: { chat: Chat; memberCount: number | null }) {
  const { panel, showPanel } = useUi();
  const presence = usePresence(chat.peer?.id);
  const about =
    chat.type === 'SINGLE'
      ? presence && describePresence(presence)
      : (chat.description ??
        (memberCount === null ? '' : `${memberCount} ${memberCount === 1 ? 'member' : 'members'}`));
  return (
    <header className="chat-header row">
      <button className="icon-button only-phone" aria-label="Back to the chats" onClick={closeChat}>
        <Icon name="back" />
      </button>
      <ChatAvatar chat={chat} size={36} />
      <div className="grow">
        <h1 className="clip">{titleOf(chat)}</h1>
        <p className="clip muted small">{about}</p>
      </div>
      {buttons.map(({ panel: each, icon, label }) => (
        <button
          key={each}
          className="icon-button"
          aria-label={label}
          title={label}
          aria-pressed={panel === each}
          onClick={() => showPanel(panel === each ? null : each)}
        >
          <Icon name={icon} />
        </button>
      ))}
    </header>
  );
}

function describePresence({ status, lastSeenAt }: { status: string; lastSeenAt: string | null }): string {
  if (status === 'ONLINE') return 'Online';
  if (status === 'AWAY') return 'Away';
  return lastSeenAt === null ? 'Offline' : `Last seen ${agoOf(lastSeenAt)}`;
}
