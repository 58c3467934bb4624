import { nameOf } from 'parley-client/react';
import type { User } from 'parley-client';
import { useState, type ReactNode } from 'react';
import { Dialog } from '../dialog.tsx';
import { durations, inMinutes } from '../duration.ts';
import { Form, textIn } from '../form.tsx';
import { Select } from '../select.tsx';
import { TextArea } from '../text-area.tsx';
import { useChatChanges } from './chat-change.ts';

const banDurations = { ...durations, '': 'Until it is lifted' };

type Props = { chatId: string; user: User; onClose: () => void };

/** Mutes a member for a period of time. */
export function MuteDialog({ chatId, user, onClose }: Props) {
  const { mute } = useChatChanges(chatId);
  return (
    <RestrictDialog
      title={`Mute ${nameOf(user)}?`}
      text="They can still read messages, but cannot write any."
      action="Mute"
      submit={(form) => mute(user.id, inMinutes(textIn(form, 'minutes')))}
      onClose={onClose}
    >
      <Select name="minutes" label="For" options={durations} defaultValue={60} />
    </RestrictDialog>
  );
}

/** Bans a user from the chat. The user can read the reason. */
export function BanDialog({ chatId, user, onClose }: Props) {
  const { ban } = useChatChanges(chatId);
  return (
    <RestrictDialog
      title={`Ban ${nameOf(user)}?`}
      text="They are removed from the chat and cannot return until the ban ends."
      action="Ban"
      submit={(form) =>
        ban(user.id, { until: inMinutes(textIn(form, 'minutes')), reason: textIn(form, 'reason').trim() })
      }
      onClose={onClose}
    >
      <Select name="minutes" label="For" options={banDurations} defaultValue="" />
      <TextArea name="reason" label="Reason (optional, visible to the user)" />
    </RestrictDialog>
  );
}

function RestrictDialog({
  title,
  text,
  action,
  submit,
  onClose,
  children,
}: {
  title: string;
  text: string;
  action: string;
  submit: (form: FormData) => Promise<boolean>;
  onClose: () => void;
  children: ReactNode;
}) {
  const [isBusy, setBusy] = useState(false);
  return (
    <Dialog title={title} onClose={onClose} className="narrow">
      <Form
        submit={(form) => {
          setBusy(true);
          void submit(form).then((isDone) => (isDone ? onClose() : setBusy(false)));
        }}
      >
        <p className="muted">{text}</p>
        {children}
        <div className="row actions">
          <button type="button" className="button" onClick={onClose}>
            Cancel
          </button>
          <button className="button danger" disabled={isBusy}>
            {action}
          </button>
        </div>
      </Form>
    </Dialog>
  );
}
