import { nameOf, useChats } from 'parley-client/react';
import type { Viewer } from 'parley-client';
import { Avatar } from '../avatar.tsx';
import { Icon } from '../icon.tsx';
import { StaffButton } from './staff-button.tsx';
import { moveFocus } from '../popover.tsx';
import { Settings } from '../settings/settings.tsx';
import { useUi } from '../ui.tsx';
import { ChatRow } from './chat-row.tsx';
import { FindDialog } from '../finder/find-dialog.tsx';
import { NewChatDialog } from '../finder/new-chat-dialog.tsx';

/** The user's chats, and the buttons for finding or creating other chats. */
export function Sidebar({ viewer, chatId }: { viewer: Viewer; chatId: string | null }) {
  const chats = useChats();
  const { showDialog } = useUi();
  const close = () => showDialog(null);
  return (
    <nav className="sidebar" aria-label="Chats">
      <button className="skip-link" onClick={skipToMessages}>
        Skip to the conversation
      </button>
      <header className="row">
        <button className="me" onClick={() => showDialog(<Settings onClose={close} />)}>
          <Avatar user={viewer.user} size={34} />
          <span className="grow">
            <strong className="clip">{nameOf(viewer.user)}</strong>
            <span className="hidden">Settings</span>
          </span>
        </button>
        <StaffButton />
        <button
          className="icon-button"
          aria-label="New chat"
          title="New chat"
          onClick={() => showDialog(<NewChatDialog onClose={close} />)}
        >
          <Icon name="edit" />
        </button>
      </header>
      <button className="find" onClick={() => showDialog(<FindDialog onClose={close} />)}>
        <Icon name="search" />
        <span className="grow">Find people and channels</span>
        <kbd>{isApple ? '⌘' : 'Ctrl'} K</kbd>
      </button>
      <ul className="chats" onKeyDown={(event) => !event.altKey && moveFocus(event)}>
        {chats.map((chat) => (
          <li key={chat.id}>
            <ChatRow chat={chat} isOpen={chat.id === chatId} />
          </li>
        ))}
      </ul>
      {chats.length === 0 && <p className="muted no-chats">No chats yet. Find someone to write to.</p>}
    </nav>
  );
}

/** Moves the focus to the messages, for keyboard users, who would otherwise have to step through all chats. */
function skipToMessages(): void {
  document.querySelector<HTMLElement>('.messages article[tabindex="0"], main button')?.focus();
}

const isApple = /Mac|iPhone|iPad/.test(navigator.userAgent);
