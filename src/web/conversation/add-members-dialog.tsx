import { titleOf } from 'parley-client/react';
import type { Chat, User } from 'parley-client';
import { useState } from 'react';
import { Dialog } from '../dialog.tsx';
import { PeoplePicker } from '../finder/people-picker.tsx';
import { useChatChanges } from './chat-change.ts';

/** Adds people to a chat. */
export function AddMembersDialog({ chat, onClose }: { chat: Chat; onClose: () => void }) {
  const [picked, pick] = useState<readonly User[]>([]);
  const { add } = useChatChanges(chat.id);
  return (
    <Dialog title={`Add people to ${titleOf(chat)}`} onClose={onClose} className="narrow">
      <PeoplePicker picked={picked} pick={pick} />
      <div className="row actions">
        <button className="button" onClick={onClose}>
          Cancel
        </button>
        <button
          className="button primary"
          disabled={picked.length === 0}
          onClick={() => void add(picked.map(({ id }) => id)).then((isDone) => isDone && onClose())}
        >
          Add
        </button>
      </div>
    </Dialog>
  );
}
