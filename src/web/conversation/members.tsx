import { nameOf, useClient, useMembers, useViewer } from 'parley-client/react';
import type { Chat, Member, User } from 'parley-client';
import { useState } from 'react';
import { Avatar } from '../avatar.tsx';
import { ConfirmDialog } from '../confirm.tsx';
import { Icon } from '../icon.tsx';
import { Menu, type Choice } from '../menu.tsx';
import { useAttempt } from '../notice.tsx';
import { openChat } from '../route.ts';
import { momentOf } from '../time.ts';
import { useUi } from '../ui.tsx';
import { AddMembersDialog } from './add-members-dialog.tsx';
import { useChatChanges } from './chat-change.ts';
import { BanDialog, MuteDialog } from './restrict-dialog.tsx';

const ranks: Record<string, number> = { OWNER: 0, ADMIN: 1, MEMBER: 2 };
const shownAtFirst = 50;

type Listed = Member & { readonly user: User };

/** The members of a chat, and the actions that the viewer can take on them. */
export function Members({ chat, rights }: { chat: Chat; rights: ReadonlySet<string> }) {
  const { showDialog } = useUi();
  const [isWhole, setWhole] = useState(false);
  const members = useMembers(chat.id).toSorted(
    (one, other) =>
      (ranks[one.role] ?? 2) - (ranks[other.role] ?? 2) || nameOf(one.user).localeCompare(nameOf(other.user)),
  );
  const shown = isWhole ? members : members.slice(0, shownAtFirst);
  return (
    <section>
      <header className="row">
        <h3 className="grow">Members{members.length > 0 && ` (${members.length})`}</h3>
        {rights.has('ADD_MEMBERS') && (
          <button
            className="icon-button"
            aria-label="Add members"
            title="Add members"
            onClick={() => showDialog(<AddMembersDialog chat={chat} onClose={() => showDialog(null)} />)}
          >
            <Icon name="add" />
          </button>
        )}
      </header>
      <ul>
        {shown.map((member) => (
          <MemberRow key={member.user.id} member={member} chat={chat} rights={rights} />
        ))}
      </ul>
      {shown.length < members.length && (
        <button className="link-button" onClick={() => setWhole(true)}>
          Show all
        </button>
      )}
    </section>
  );
}

function MemberRow({ member, chat, rights }: { member: Listed; chat: Chat; rights: ReadonlySet<string> }) {
  const { user, role, mutedUntil } = member;
  const isViewer = useViewer()?.user.id === user.id;
  const isMuted = mutedUntil !== null && Date.parse(mutedUntil) > Date.now();
  const choices = useChoices({ member, chat, rights, isMuted });
  return (
    <li className="member row">
      <Avatar user={user} size={30} hasDot />
      <span className="grow clip">
        {nameOf(user)} <span className="muted small">@{user.username}</span>
      </span>
      {isMuted && (
        <span className="tag" title={`Until ${momentOf(mutedUntil)}`}>
          Muted
        </span>
      )}
      {role !== 'MEMBER' && <span className="tag">{role === 'OWNER' ? 'Owner' : 'Admin'}</span>}
      {!isViewer && <Menu label={`Actions for ${nameOf(user)}`} choices={choices} />}
    </li>
  );
}

function useChoices({
  member: { user, role },
  chat,
  rights,
  isMuted,
}: {
  member: Listed;
  chat: Chat;
  rights: ReadonlySet<string>;
  isMuted: boolean;
}): Choice[] {
  const client = useClient();
  const attempt = useAttempt();
  const changes = useChatChanges(chat.id);
  const { showDialog } = useUi();
  // Only owners can take actions on owners and admins; see `ChatAction` in the schema.
  const can = (action: string) => rights.has(action) && (role === 'MEMBER' || chat.role === 'OWNER');
  const ask = (title: string, action: string, confirm: () => Promise<boolean>) => () =>
    showDialog(
      <ConfirmDialog title={title} text="" action={action} confirm={confirm} onClose={() => showDialog(null)} />,
    );
  const about = { chatId: chat.id, user, onClose: () => showDialog(null) };
  const write = async () => openChat((await client.createChat({ type: 'SINGLE', memberIds: [user.id] })).id);
  const name = nameOf(user);
  return [
    { label: 'Message', icon: 'send', choose: () => void attempt(write) },
    can('SET_MEMBER_ROLE') && role !== 'OWNER'
      ? {
          label: 'Make owner',
          icon: 'group',
          choose: ask(`Make ${name} an owner?`, 'Make owner', () => changes.setRole(user.id, 'OWNER')),
        }
      : null,
    can('SET_MEMBER_ROLE') && role !== 'ADMIN'
      ? { label: 'Make admin', icon: 'group', choose: () => void changes.setRole(user.id, 'ADMIN') }
      : null,
    can('SET_MEMBER_ROLE') && role !== 'MEMBER'
      ? { label: 'Make member', icon: 'group', choose: () => void changes.setRole(user.id, 'MEMBER') }
      : null,
    can('MUTE_MEMBER')
      ? isMuted
        ? { label: 'Unmute', icon: 'bell', choose: () => void changes.mute(user.id, null) }
        : { label: 'Mute …', icon: 'bell', choose: () => showDialog(<MuteDialog {...about} />) }
      : null,
    can('REMOVE_MEMBER')
      ? {
          label: 'Remove',
          icon: 'close',
          isDanger: true,
          choose: ask(`Remove ${name}?`, 'Remove', () => changes.removeMember(user.id)),
        }
      : null,
    can('BAN_MEMBER')
      ? { label: 'Ban …', icon: 'ban', isDanger: true, choose: () => showDialog(<BanDialog {...about} />) }
      : null,
  ];
}
