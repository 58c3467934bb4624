import { nameOf, useClient } from 'parley-client/react';
import { graphql, query } from 'parley-client/tada';
import { useState } from 'react';
import { Avatar } from '../avatar.tsx';
import { useAttempt } from '../notice.tsx';
import { TextArea } from '../text-area.tsx';
import { agoOf } from '../time.ts';
import { Evidence } from './evidence.tsx';
import type { Report } from './report.ts';
import { failure, inWords } from './staff-user.ts';
import { SuspendForm } from './suspend-form.tsx';

const resolveDocument = graphql(
  `
    mutation ResolveReport($id: ID!, $resolution: ReportResolution!, $note: String) {
      resolveReport(reportId: $id, resolution: $resolution, note: $note) {
        __typename
        ...StaffFailure
      }
    }
  `,
  [failure],
);

type Resolution = 'MESSAGE_DELETED' | 'NO_ACTION' | 'USER_SUSPENDED' | 'USER_WARNED';

const outcomes: Readonly<Record<string, string>> = {
  MESSAGE_DELETED: 'Message deleted',
  NO_ACTION: 'No action',
  USER_SUSPENDED: 'Sender suspended',
  USER_WARNED: 'Sender warned',
};

/** A report, and the actions that staff can take on it. */
export function ReportCard({ report, onResolved }: { report: Report; onResolved: () => void }) {
  const { id, reason, comment, createdAt, author, reporter, resolvedAt, resolution, note } = report;
  const [isShown, show] = useState(false);
  return (
    <li className="card stack">
      <div className="row">
        <Avatar user={author} size={30} />
        <div className="grow">
          <strong className="block clip">{nameOf(author)}</strong>
          <span className="muted small">
            Reported by {nameOf(reporter)} {agoOf(createdAt)}
          </span>
        </div>
        <span className="tag">{inWords(reason)}</span>
      </div>
      {comment !== null && <p className="excerpt">{comment}</p>}
      {resolvedAt !== null && (
        <p className="small">
          <strong>{outcomes[resolution ?? ''] ?? 'Resolved'}</strong>{' '}
          <span className="muted">
            {agoOf(resolvedAt)}
            {note !== null && `: ${note}`}
          </span>
        </p>
      )}
      {isShown ? (
        <Evidence reportId={id} />
      ) : (
        <div className="row">
          <button className="button slim" onClick={() => show(true)}>
            Read the message
          </button>
          <span className="muted small">This is logged.</span>
        </div>
      )}
      {resolvedAt === null && <Resolve id={id} authorId={author?.id ?? null} onResolved={onResolved} />}
    </li>
  );
}

function Resolve({ id, authorId, onResolved }: { id: string; authorId: string | null; onResolved: () => void }) {
  const client = useClient();
  const attempt = useAttempt();
  const [isSuspending, suspend] = useState(false);
  const [note, setNote] = useState('');
  const resolve = async (resolution: Resolution) => {
    const variables = { id, resolution, note: note.trim() === '' ? null : note };
    if (await attempt(() => query(client, resolveDocument, variables))) onResolved();
  };
  if (isSuspending && authorId !== null) {
    return (
      <SuspendForm userId={authorId} onDone={() => void resolve('USER_SUSPENDED')} onCancel={() => suspend(false)} />
    );
  }
  return (
    <div className="stack">
      <TextArea
        label="Note for other staff (optional)"
        rows={1}
        value={note}
        onChange={({ target }) => setNote(target.value)}
      />
      <div className="row wrap">
        <button type="button" className="button slim" onClick={() => void resolve('NO_ACTION')}>
          No action
        </button>
        <button type="button" className="button slim" onClick={() => void resolve('USER_WARNED')}>
          Sender was warned
        </button>
        <button type="button" className="button slim danger" onClick={() => void resolve('MESSAGE_DELETED')}>
          Delete the message
        </button>
        {authorId !== null && (
          <button type="button" className="button slim danger" onClick={() => suspend(true)}>
            Suspend the sender …
          </button>
        )}
      </div>
    </div>
  );
}
