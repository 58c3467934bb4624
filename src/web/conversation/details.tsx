import { titleOf } from 'parley-client/react';
import type { Chat } from 'parley-client';
import { ChatAvatar } from '../avatar.tsx';
import { ConfirmDialog } from '../confirm.tsx';
import { Select } from '../select.tsx';
import { useUi } from '../ui.tsx';
import { Bans } from './bans.tsx';
import { BlockButton } from './block-button.tsx';
import { EditChatDialog } from './edit-chat-dialog.tsx';
import { Invites } from './invites.tsx';
import { Members } from './members.tsx';
import { useChatChanges } from './chat-change.ts';
import { closeChat } from '../route.ts';

const levels = { ALL: 'All messages', MENTIONS: 'Mentions only', NONE: 'Nothing' } as const;
const types = {
  SINGLE: 'Conversation',
  GROUP: 'Group',
  PRIVATE_CHANNEL: 'Private channel',
  PUBLIC_CHANNEL: 'Public channel',
};

/** Shows what a chat is about, who is in it, and what can be changed. */
export function Details({ chat, rights }: { chat: Chat; rights: ReadonlySet<string> }) {
  return (
    <div className="stack details">
      <Face chat={chat} canEdit={rights.has('UPDATE_CHAT') && chat.type !== 'SINGLE'} />
      <LevelChoice chat={chat} />
      {chat.type === 'SINGLE' ? (
        chat.peer !== null && <BlockButton userId={chat.peer.id} name={titleOf(chat)} />
      ) : (
        <>
          {rights.has('CREATE_INVITE') && <Invites chatId={chat.id} />}
          <Members chat={chat} rights={rights} />
          {rights.has('BAN_MEMBER') && <Bans chatId={chat.id} />}
          <Farewell chat={chat} rights={rights} />
        </>
      )}
    </div>
  );
}

function Face({ chat, canEdit }: { chat: Chat; canEdit: boolean }) {
  const { showDialog } = useUi();
  return (
    <div className="face">
      <ChatAvatar chat={chat} size={64} />
      <h3>{titleOf(chat)}</h3>
      <p className="muted small">{chat.type === 'SINGLE' ? `@${chat.peer?.username ?? ''}` : types[chat.type]}</p>
      {chat.description !== null && <p>{chat.description}</p>}
      {chat.slowModeSeconds > 0 && <p className="muted small">Slow mode: a message every {chat.slowModeSeconds} s</p>}
      {canEdit && (
        <button
          className="button slim"
          onClick={() => showDialog(<EditChatDialog chat={chat} onClose={() => showDialog(null)} />)}
        >
          Edit
        </button>
      )}
    </div>
  );
}

function LevelChoice({ chat }: { chat: Chat }) {
  const { setLevel } = useChatChanges(chat.id);
  return (
    <Select
      label="Notify me of"
      options={levels}
      value={chat.notificationLevel}
      onChange={({ target }) => void setLevel(target.value as keyof typeof levels)}
    />
  );
}

/** Leaves the chat, or deletes it. */
function Farewell({ chat, rights }: { chat: Chat; rights: ReadonlySet<string> }) {
  const { showDialog } = useUi();
  const changes = useChatChanges(chat.id);
  const ask = (title: string, action: string, work: () => Promise<boolean>) => {
    const confirm = async () => {
      const isDone = await work();
      if (isDone) closeChat();
      return isDone;
    };
    const close = () => showDialog(null);
    showDialog(<ConfirmDialog title={title} text="" action={action} confirm={confirm} onClose={close} />);
  };
  return (
    <div className="row">
      {rights.has('LEAVE_CHAT') && (
        <button className="button slim" onClick={() => ask(`Leave ${titleOf(chat)}?`, 'Leave', changes.leave)}>
          Leave
        </button>
      )}
      {rights.has('DELETE_CHAT') && (
        <button
          className="button slim danger"
          onClick={() => ask(`Delete ${titleOf(chat)} for everyone?`, 'Delete', changes.remove)}
        >
          Delete
        </button>
      )}
    </div>
  );
}
