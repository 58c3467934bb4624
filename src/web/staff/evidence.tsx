import { nameOf } from 'parley-client/react';
import { graphql, query } from 'parley-client/tada';
import type { Client } from 'parley-client';
import { useCallback } from 'react';
import { describeFailure } from '../failure.ts';
import { Icon } from '../icon.tsx';
import { useLoaded } from '../load.ts';
import { timeOf } from '../time.ts';
import { staffUser } from './staff-user.ts';

const evidenceDocument = graphql(
  `
    query Evidence($id: ID!) {
      node(id: $id) {
        ... on Report {
          content
          files {
            name
            url
          }
          surroundings {
            seq
            content
            createdAt
            fileCount
            isReported
            sender {
              ...StaffUser
            }
          }
        }
      }
    }
  `,
  [staffUser],
);

/**
 * The content of a reported message at the time of the report, its files, and the messages around it as they are now.
 */
export function Evidence({ reportId }: { reportId: string }) {
  const ask = useCallback(
    async (client: Client) => {
      const { node } = await query(client, evidenceDocument, { id: reportId });
      return node !== null && 'surroundings' in node ? node : null;
    },
    [reportId],
  );
  const { data, error } = useLoaded(ask);
  if (data === null) return <p className="muted">{error === null ? 'Loading …' : describeFailure(error)}</p>;
  const around = data.surroundings ?? [];
  return (
    <div className="evidence stack">
      <blockquote className="excerpt">{data.content || 'No text'}</blockquote>
      {data.files?.map(({ name, url }) => (
        <a key={url} className="file" href={url} download={name}>
          <Icon name="file" />
          <span className="clip">{name}</span>
        </a>
      ))}
      {around.length > 1 && (
        <ol className="around small">
          {around.map(({ seq, content, createdAt, fileCount, isReported, sender }) => (
            <li key={seq} className={isReported ? 'reported' : undefined}>
              <time className="muted" dateTime={createdAt}>
                {timeOf(createdAt)}
              </time>{' '}
              <strong>{nameOf(sender)}</strong> {content ?? 'deleted'}
              {fileCount > 0 && <span className="muted"> {fileCount === 1 ? '1 file' : `${fileCount} files`}</span>}
            </li>
          ))}
        </ol>
      )}
    </div>
  );
}
