import type { Chat } from 'parley-client';
import { Dialog } from '../dialog.tsx';
import { Field } from '../field.tsx';
import { Form, textIn } from '../form.tsx';
import { useChatChanges } from './chat-change.ts';

const slowModes = { 0: 'Off', 10: '10 seconds', 60: '1 minute', 300: '5 minutes', 3600: '1 hour' };

/** Changes the name, the description and the slow mode of a chat. */
export function EditChatDialog({ chat, onClose }: { chat: Chat; onClose: () => void }) {
  const { update } = useChatChanges(chat.id);
  const save = async (form: FormData) => {
    const text = (name: string) => textIn(form, name).trim();
    const [name, description] = [text('name'), text('description')];
    const input = {
      ...(name !== '' && { name }),
      description: description === '' ? null : description,
      slowModeSeconds: Number(text('slow')),
    };
    if (await update(input)) onClose();
  };
  return (
    <Dialog title="Edit" onClose={onClose} className="narrow">
      <Form submit={(form) => void save(form)}>
        <Field
          name="name"
          label="Name"
          defaultValue={chat.name ?? ''}
          maxLength={64}
          required={chat.type !== 'GROUP'}
        />
        <label className="field">
          <span className="label">Description</span>
          <textarea
            name="description"
            className="input"
            rows={3}
            maxLength={1_000}
            defaultValue={chat.description ?? ''}
          />
        </label>
        <label className="field">
          <span className="label">Slow mode</span>
          <select name="slow" className="input" defaultValue={chat.slowModeSeconds}>
            {Object.entries(slowModes).map(([seconds, label]) => (
              <option key={seconds} value={seconds}>
                {label}
              </option>
            ))}
          </select>
        </label>
        <div className="row actions">
          <button type="button" className="button" onClick={onClose}>
            Cancel
          </button>
          <button className="button primary">Save</button>
        </div>
      </Form>
    </Dialog>
  );
}
