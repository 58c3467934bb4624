import { useClient } from 'parley-client/react';
import { graphql, query } from 'parley-client/tada';
import type { Message } from 'parley-client';
import { useState } from 'react';
import { Dialog } from '../dialog.tsx';
import { Form } from '../form.tsx';
import { useAttempt, useNotice } from '../notice.tsx';
import { Select } from '../select.tsx';
import { TextArea } from '../text-area.tsx';

const reportDocument = graphql(`
  mutation Report($id: ID!, $reason: ReportReason!, $comment: String) {
    reportMessage(messageId: $id, reason: $reason, comment: $comment) {
      __typename
      ... on Error {
        code
        message
      }
    }
  }
`);

const reasons = {
  SPAM: 'Spam',
  HARASSMENT: 'Harassment',
  HATE: 'Hate',
  VIOLENCE: 'Violence',
  SEXUAL: 'Sexual content',
  SELF_HARM: 'Self-harm',
  ILLEGAL: 'Illegal content',
  OTHER: 'Something else',
} as const;

/** Reports a message to the server staff. */
export function ReportDialog({ message, onClose }: { message: Message; onClose: () => void }) {
  const client = useClient();
  const attempt = useAttempt();
  const notify = useNotice();
  const [reason, setReason] = useState<keyof typeof reasons>('SPAM');
  const [comment, setComment] = useState('');
  const report = async () => {
    const variables = { id: message.id, reason, comment: comment.trim() === '' ? null : comment };
    if (!(await attempt(() => query(client, reportDocument, variables)))) return;
    notify('Thank you. The staff of this server will look at it.');
    onClose();
  };
  return (
    <Dialog title="Report this message" onClose={onClose} className="narrow">
      <Form submit={() => void report()}>
        <p className="excerpt">{message.content}</p>
        <Select
          label="Reason"
          options={reasons}
          value={reason}
          onChange={({ target }) => setReason(target.value as keyof typeof reasons)}
        />
        <TextArea label="Comment (optional)" value={comment} onChange={({ target }) => setComment(target.value)} />
        <div className="row actions">
          <button type="button" className="button" onClick={onClose}>
            Cancel
          </button>
          <button className="button primary">Report</button>
        </div>
      </Form>
    </Dialog>
  );
}
