import { useClient } from 'parley-client/react';
import { graphql, query } from 'parley-client/tada';
import type { Client } from 'parley-client';
import { describeFailure } from '../failure.ts';
import { useLoaded } from '../load.ts';
import { useAttempt } from '../notice.tsx';
import { agoOf } from '../time.ts';

const sessionsDocument = graphql(`
  query Sessions {
    viewer {
      sessions {
        id
        userAgent
        lastUsedAt
        isCurrent
      }
    }
  }
`);
const revokeDocument = graphql(`
  mutation RevokeSession($id: ID!) {
    revokeSession(sessionId: $id) {
      __typename
      ... on Error {
        code
        message
      }
    }
  }
`);

const ask = (client: Client) => query(client, sessionsDocument);

/** The devices on which the user is signed in. */
export function Sessions() {
  const client = useClient();
  const attempt = useAttempt();
  const { data, error, reload } = useLoaded(ask);
  if (data === null) return <p className="muted">{error === null ? 'Loading …' : describeFailure(error)}</p>;
  return (
    <ul className="stack">
      {data.viewer?.sessions.map(({ id, userAgent, lastUsedAt, isCurrent }) => (
        <li key={id} className="card row">
          <span className="grow">
            <strong>{describeDevice(userAgent)}</strong>
            <span className="muted small block">{isCurrent ? 'This device' : `Last used ${agoOf(lastUsedAt)}`}</span>
          </span>
          {!isCurrent && (
            <button
              className="button slim"
              onClick={() => void attempt(() => query(client, revokeDocument, { id })).then(reload)}
            >
              Sign out
            </button>
          )}
        </li>
      ))}
    </ul>
  );
}

/**
 * Returns the browser and the system that a User-Agent header names, or the header itself if it names no known browser.
 */
function describeDevice(userAgent: string | null): string {
  if (userAgent === null) return 'Unknown device';
  const browser = /(Firefox|Edg|Chrome|Safari)\//.exec(userAgent)?.[1]?.replace('Edg', 'Edge');
  const system = /(Windows|Android|iPhone|iPad|Mac OS X|Linux)/.exec(userAgent)?.[1]?.replace('Mac OS X', 'macOS');
  return browser === undefined ? userAgent : `${browser}${system === undefined ? '' : ` on ${system}`}`;
}
