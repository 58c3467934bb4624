import { useClient } from 'parley-client/react';
import type { Chat, User } from 'parley-client';
import { useState } from 'react';
import { Dialog } from '../dialog.tsx';
import { Failure, Form } from '../form.tsx';
import { problemWith } from '../failure.ts';
import { Field } from '../field.tsx';
import { PeoplePicker } from './people-picker.tsx';
import { openChat } from '../route.ts';

const types = {
  SINGLE: 'Conversation',
  GROUP: 'Group',
  PRIVATE_CHANNEL: 'Private channel',
  PUBLIC_CHANNEL: 'Public channel',
} as const;

/** A dialog that starts a chat of any type. */
export function NewChatDialog({ onClose }: { onClose: () => void }) {
  const client = useClient();
  const [type, setType] = useState<Chat['type']>('GROUP');
  const [picked, pick] = useState<readonly User[]>([]);
  const [name, setName] = useState('');
  const [failure, setFailure] = useState<unknown>(null);
  const isReady = type === 'SINGLE' ? picked.length === 1 : type === 'GROUP' || name.trim() !== '';
  const create = async () => {
    try {
      const hasName = type !== 'SINGLE' && name.trim() !== '';
      const memberIds = picked.map(({ id }) => id);
      const chat = await client.createChat({ type, memberIds, ...(hasName && { name: name.trim() }) });
      openChat(chat.id);
      onClose();
    } catch (error) {
      setFailure(error);
    }
  };
  return (
    <Dialog title="New chat" onClose={onClose} className="narrow">
      <Form submit={() => void create()}>
        <Failure error={failure} fields={['name']} />
        <KindChoice type={type} choose={setType} />
        {type !== 'SINGLE' && (
          <Field
            label={type === 'GROUP' ? 'Name (optional)' : 'Name'}
            name="name"
            maxLength={64}
            required={type !== 'GROUP'}
            value={name}
            problem={problemWith(failure, 'name')}
            onChange={({ target }) => setName(target.value)}
          />
        )}
        <PeoplePicker picked={picked} pick={(users) => pick(type === 'SINGLE' ? users.slice(-1) : users)} />
        <div className="row actions">
          <button type="button" className="button" onClick={onClose}>
            Cancel
          </button>
          <button className="button primary" disabled={!isReady}>
            Create
          </button>
        </div>
      </Form>
    </Dialog>
  );
}

function KindChoice({ type, choose }: { type: Chat['type']; choose: (type: Chat['type']) => void }) {
  return (
    <fieldset className="kinds">
      <legend className="hidden">Kind of chat</legend>
      {Object.entries(types).map(([value, label]) => (
        <label key={value} className="kind">
          <input
            type="radio"
            name="type"
            value={value}
            checked={type === value}
            onChange={() => choose(value as Chat['type'])}
          />
          {label}
        </label>
      ))}
    </fieldset>
  );
}
