import { titleOf } from 'parley-client/react';
import type { Chat, User } from 'parley-client';
import { useState } from 'react';
import { Dialog } from '../dialog.tsx';
import { PeoplePicker } from '../finder/people-picker.tsx';
import { useChatChanges } from './chat-change.ts';

/** Adds people to a chat. */
export function AddMembersDialog({ chat, onClose }: { chat: Chat; onClose: () => void }) {
  const [picked, pick] = useState<readonly User[]>([]);
  // The API's default.
  const [sharesHistory, shareHistory] = useState(chat.type !== 'GROUP');
  const { add } = useChatChanges(chat.id);
  const ids = picked.map(({ id }) => id);
  return (
    <Dialog title={`Add people to ${titleOf(chat)}`} onClose={onClose} className="narrow">
      <PeoplePicker picked={picked} pick={pick} />
      {chat.type !== 'PUBLIC_CHANNEL' && (
        <label className="row">
          <input type="checkbox" checked={sharesHistory} onChange={({ target }) => shareHistory(target.checked)} />
          They can read what was written before
        </label>
      )}
      <div className="row actions">
        <button className="button" onClick={onClose}>
          Cancel
        </button>
        <button
          className="button primary"
          disabled={picked.length === 0}
          onClick={() => void add(ids, sharesHistory ? 'ALL' : 'FROM_NOW').then((isDone) => isDone && onClose())}
        >
          Add
        </button>
      </div>
    </Dialog>
  );
}
