import { nameOf, useClient, useViewer } from 'parley-client/react';
import { graphql, query } from 'parley-client/tada';
import { useState } from 'react';
import { Avatar } from '../avatar.tsx';
import { Form, textIn } from '../form.tsx';
import { Menu, type Choice } from '../menu.tsx';
import { useAttempt } from '../notice.tsx';
import { Select } from '../select.tsx';
import { momentOf } from '../time.ts';
import type { ListedUser } from './listed-user.ts';
import { failure, inWords } from './staff-user.ts';
import { SuspendForm } from './suspend-form.tsx';

const unsuspendDocument = graphql(
  'mutation UnsuspendUser($id: ID!) { unsuspendUser(userId: $id) { __typename ...StaffFailure } }',
  [failure],
);
const roleDocument = graphql(
  'mutation ServerRole($id: ID!, $role: ServerRole!) { setServerRole(userId: $id, role: $role) { __typename ...StaffFailure } }',
  [failure],
);
const eraseDocument = graphql(
  'mutation EraseUser($id: ID!, $messages: ErasedMessages!) { eraseUser(userId: $id, messages: $messages) { __typename ...StaffFailure } }',
  [failure],
);

const roles = { USER: 'No role', MODERATOR: 'Moderator', ADMIN: 'Admin' } as const;
const roleNames = Object.keys(roles) as (keyof typeof roles)[];

type Props = { listed: ListedUser; isAdmin: boolean; onChanged: () => void };

/** A user, and the actions that the viewer may take on the user. */
export function UserRow({ listed, isAdmin, onChanged }: Props) {
  const { user, email, serverRole, suspension } = listed;
  const [open, setOpen] = useState<'suspend' | 'erase' | null>(null);
  const choices = useChoices({ listed, isAdmin, onChanged }, setOpen);
  const end = () => setOpen(null);
  const done = () => {
    setOpen(null);
    onChanged();
  };
  return (
    <li>
      <div className="member row">
        <Avatar user={user} size={30} />
        <div className="grow">
          <p className="clip">
            {nameOf(user)} <span className="muted small">@{user.username}</span>
          </p>
          {email !== null && <p className="clip muted small">{email}</p>}
          {suspension !== null && (
            <p className="muted small">
              {suspension.until === null ? 'Until it is lifted' : `Until ${momentOf(suspension.until)}`}
              {suspension.reason !== null && `: ${suspension.reason}`}
            </p>
          )}
        </div>
        {suspension !== null && <span className="tag">Suspended</span>}
        {serverRole !== 'USER' && <span className="tag">{inWords(serverRole)}</span>}
        <Menu label={`Actions for ${nameOf(user)}`} choices={choices} />
      </div>
      {open === 'suspend' && <SuspendForm userId={user.id} onDone={done} onCancel={end} />}
      {open === 'erase' && <EraseForm userId={user.id} onDone={done} onCancel={end} />}
    </li>
  );
}

function useChoices({ listed, isAdmin, onChanged }: Props, open: (form: 'suspend' | 'erase') => void): Choice[] {
  const client = useClient();
  const attempt = useAttempt();
  const { user, serverRole, suspension } = listed;
  const isSelf = useViewer()?.user.id === user.id;
  // Moderators may suspend only users who have no server role; see docs/moderation.md.
  const mayAct = !isSelf && (isAdmin || serverRole === 'USER');
  const run = (work: () => Promise<unknown>) => void attempt(work).then((isDone) => isDone && onChanged());
  return [
    mayAct && suspension !== null
      ? {
          label: 'Lift the suspension',
          icon: 'check',
          choose: () => run(() => query(client, unsuspendDocument, { id: user.id })),
        }
      : null,
    mayAct ? { label: 'Suspend …', icon: 'ban', isDanger: true, choose: () => open('suspend') } : null,
    ...roleNames.map((role): Choice =>
      isAdmin && role !== serverRole
        ? {
            label: role === 'USER' ? 'Take the role away' : `Make ${roles[role].toLowerCase()}`,
            icon: 'group',
            choose: () => run(() => query(client, roleDocument, { id: user.id, role })),
          }
        : null,
    ),
    isAdmin && !isSelf ? { label: 'Erase …', icon: 'trash', isDanger: true, choose: () => open('erase') } : null,
  ];
}

/** Erases an account permanently. */
function EraseForm({ userId, onDone, onCancel }: { userId: string; onDone: () => void; onCancel: () => void }) {
  const client = useClient();
  const attempt = useAttempt();
  const erase = async (form: FormData) => {
    const messages = textIn(form, 'messages') === 'DELETE' ? 'DELETE' : 'KEEP';
    if (await attempt(() => query(client, eraseDocument, { id: userId, messages }))) onDone();
  };
  const choices = { KEEP: 'Keep the messages, without a sender', DELETE: 'Delete the messages too' };
  return (
    <Form submit={(form) => void erase(form)}>
      <p>The account is erased at once, and cannot be brought back.</p>
      <Select autoFocus name="messages" label="Messages" options={choices} />
      <div className="row">
        <button className="button slim danger">Erase the account</button>
        <button type="button" className="button slim" onClick={onCancel}>
          Cancel
        </button>
      </div>
    </Form>
  );
}
