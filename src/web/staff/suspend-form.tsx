import { useClient } from 'parley-client/react';
import { graphql, query } from 'parley-client/tada';
import { durations, inMinutes } from '../duration.ts';
import { Form, textIn } from '../form.tsx';
import { useAttempt } from '../notice.tsx';
import { Select } from '../select.tsx';
import { TextArea } from '../text-area.tsx';
import { failure } from './staff-user.ts';

const suspendDocument = graphql(
  `
    mutation SuspendUser($id: ID!, $until: DateTime, $reason: String) {
      suspendUser(userId: $id, until: $until, reason: $reason) {
        __typename
        ...StaffFailure
      }
    }
  `,
  [failure],
);
const ends = { ...durations, '': 'Until it is lifted' };

/** Suspends a user. The user can read the reason. */
export function SuspendForm({
  userId,
  onDone,
  onCancel,
}: {
  userId: string;
  onDone: () => void;
  onCancel: () => void;
}) {
  const client = useClient();
  const attempt = useAttempt();
  const suspend = async (form: FormData) => {
    const reason = textIn(form, 'reason').trim();
    const input = { id: userId, until: inMinutes(textIn(form, 'minutes')), reason: reason === '' ? null : reason };
    if (await attempt(() => query(client, suspendDocument, input))) onDone();
  };
  return (
    <Form submit={(form) => void suspend(form)}>
      <Select autoFocus name="minutes" label="Suspend for" options={ends} defaultValue={10_080} />
      <TextArea name="reason" label="Reason (optional, visible to the user)" rows={2} />
      <div className="row">
        <button className="button slim danger">Suspend</button>
        <button type="button" className="button slim" onClick={onCancel}>
          Cancel
        </button>
      </div>
    </Form>
  );
}
