import { useChat } from 'parley-client/react';
import type { Chat } from 'parley-client';
import { ChatAvatar } from '../avatar.tsx';
import { Dialog } from '../dialog.tsx';
import { Field } from '../field.tsx';
import { Form, textIn } from '../form.tsx';
import { PictureChoice } from '../picture-choice.tsx';
import { Select } from '../select.tsx';
import { TextArea } from '../text-area.tsx';
import { useChatChanges } from './chat-change.ts';

const slowModes: Record<number, string> = {
  0: 'Off',
  10: '10 seconds',
  60: '1 minute',
  300: '5 minutes',
  3600: '1 hour',
};
const types = {
  GROUP: 'Group: members can add other people',
  PRIVATE_CHANNEL: 'Private channel: only owners and admins can add people',
  PUBLIC_CHANNEL: 'Public channel: everyone can read it and join',
};

/** A dialog that changes the picture, the name, the description, the type and the slow mode of a chat. */
export function EditChatDialog({ chat, onClose }: { chat: Chat; onClose: () => void }) {
  const { update, setPicture } = useChatChanges(chat.id);
  const shown = useChat(chat.id) ?? chat;
  const save = async (form: FormData) => {
    const text = (name: string) => textIn(form, name).trim();
    const [name, description] = [text('name'), text('description')];
    const type = text('type') as keyof typeof types;
    const input = {
      ...(name !== '' && { name }),
      ...(type !== chat.type && { type }),
      description: description === '' ? null : description,
      slowModeSeconds: Number(text('slow')),
    };
    if (await update(input)) onClose();
  };
  return (
    <Dialog title="Edit" onClose={onClose} className="narrow">
      <PictureChoice hasPicture={shown.avatar !== null} choose={(picture) => void setPicture(picture)}>
        <ChatAvatar chat={shown} size={56} />
      </PictureChoice>
      <Form submit={(form) => void save(form)}>
        <Field
          name="name"
          label="Name"
          defaultValue={chat.name ?? ''}
          maxLength={64}
          required={chat.type !== 'GROUP'}
        />
        <TextArea name="description" label="Description" defaultValue={chat.description ?? ''} />
        <Select name="type" label="Kind" options={types} defaultValue={chat.type} />
        <Select
          name="slow"
          label="Slow mode"
          options={{ [chat.slowModeSeconds]: `${chat.slowModeSeconds} seconds`, ...slowModes }}
          defaultValue={chat.slowModeSeconds}
        />
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
