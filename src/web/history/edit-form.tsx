import { useClient } from 'parley-client/react';
import type { Message } from 'parley-client';
import { useEffect, useRef, useState } from 'react';
import { useAttempt } from '../notice.tsx';
import { useMessageActions } from './action.ts';

/** Edits a message in place. */
export function EditForm({ message }: { message: Message }) {
  const client = useClient();
  const attempt = useAttempt();
  const { edit } = useMessageActions();
  const [text, setText] = useState(message.content ?? '');
  const ref = useRef<HTMLTextAreaElement>(null);
  useEffect(() => {
    const field = ref.current;
    field?.focus();
    field?.setSelectionRange(field.value.length, field.value.length);
  }, []);
  const save = async () => {
    const isChanged = text.trim() !== message.content;
    if (!isChanged || (await attempt(() => client.editMessage(message.id, text)))) edit(null);
  };
  return (
    <form
      className="edit-form"
      onSubmit={(event) => {
        event.preventDefault();
        void save();
      }}
    >
      <textarea
        ref={ref}
        className="input"
        aria-label="Edit message"
        rows={1}
        value={text}
        onChange={(event) => setText(event.target.value)}
        onKeyDown={(event) => {
          event.stopPropagation();
          if (event.key === 'Escape') edit(null);
          if (event.key !== 'Enter' || event.shiftKey || event.nativeEvent.isComposing) return;
          event.preventDefault();
          void save();
        }}
      />
      <div className="row">
        <button className="button primary slim">Save</button>
        <button type="button" className="button slim" onClick={() => edit(null)}>
          Cancel
        </button>
        <span className="muted small">Enter to save, Esc to cancel</span>
      </div>
    </form>
  );
}
