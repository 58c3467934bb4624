import { graphql, query } from 'parley-client/tada';
import type { Client } from 'parley-client';
import { useCallback, useState } from 'react';
import { describeFailure } from '../failure.ts';
import { useLoaded } from '../load.ts';
import { momentOf } from '../time.ts';
import { More } from './more.tsx';
import { inWords } from './staff-user.ts';

const logDocument = graphql(`
  query AuditLog($first: Int!) {
    admin {
      auditLog(first: $first) {
        edges {
          node {
            id
            action
            createdAt
            detail
            actor {
              username
            }
            apiKey {
              name
            }
          }
        }
        pageInfo {
          hasNextPage
        }
      }
    }
  }
`);
const pageSize = 30;
/** Matches an enum value of the API, or a timestamp. */
const readable = /^([A-Z_]+|\d{4}-\d\d-\d\dT.*)$/;

/** The audit log of the server, for admins. */
export function AuditLog() {
  const [count, setCount] = useState(pageSize);
  const ask = useCallback(
    async (client: Client) => (await query(client, logDocument, { first: count })).admin?.auditLog,
    [count],
  );
  const { data, error } = useLoaded(ask);
  if (data == null) return <p className="muted">{error === null ? 'Loading …' : describeFailure(error)}</p>;
  return (
    <>
      <ol className="log">
        {data.edges.map(({ node: { id, action, createdAt, detail, actor, apiKey } }) => (
          <li key={id}>
            <p className="row">
              <strong className="grow">{inWords(action)}</strong>
              <time className="muted small" dateTime={createdAt}>
                {momentOf(createdAt)}
              </time>
            </p>
            <p className="muted small">
              {actor === null ? 'The server' : `@${actor.username}`}
              {apiKey !== null && `, by the key ${apiKey.name}`} {describe(detail)}
            </p>
          </li>
        ))}
      </ol>
      <More page={data} onMore={() => setCount(count + pageSize)} />
    </>
  );
}

/**
 * Formats the detail object of an entry as text: `reason: SPAM, until: …`. Omits everything except enum values and
 * timestamps, because ids mean nothing to people.
 */
function describe(detail: unknown): string {
  if (typeof detail !== 'object' || detail === null) return '';
  const parts = Object.entries(detail).flatMap(([name, value]) =>
    typeof value === 'string' && readable.test(value) ? `${name}: ${value}` : [],
  );
  return parts.length === 0 ? '' : `(${parts.join(', ')})`;
}
