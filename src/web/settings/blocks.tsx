import { nameOf, useClient } from 'parley-client/react';
import { graphql, query } from 'parley-client/tada';
import type { Client } from 'parley-client';
import { Avatar } from '../avatar.tsx';
import { describeFailure } from '../failure.ts';
import { useLoaded } from '../load.ts';
import { useAttempt } from '../notice.tsx';

const blockedDocument = graphql(`
  query Blocked {
    viewer {
      blockedUsers(first: 100) {
        edges {
          node {
            id
            username
            displayName
            kind
            avatar {
              id
            }
          }
        }
      }
    }
  }
`);
const unblockDocument = graphql(`
  mutation Unblock($id: ID!) {
    unblockUser(userId: $id) {
      __typename
      ... on Error {
        code
        message
      }
    }
  }
`);

const ask = (client: Client) => query(client, blockedDocument);

/** The list of users that the viewer has blocked. */
export function Blocks() {
  const client = useClient();
  const attempt = useAttempt();
  const { data, error, reload } = useLoaded(ask);
  if (data === null) return <p className="muted">{error === null ? 'Loading …' : describeFailure(error)}</p>;
  const users = data.viewer?.blockedUsers.edges ?? [];
  if (users.length === 0) return <p className="muted">You have blocked no one.</p>;
  return (
    <ul className="stack">
      {users.map(({ node }) => (
        <li key={node.id} className="card row">
          <Avatar user={node} size={30} />
          <span className="grow clip">{nameOf(node)}</span>
          <button
            className="button slim"
            onClick={() => void attempt(() => query(client, unblockDocument, { id: node.id })).then(reload)}
          >
            Unblock
          </button>
        </li>
      ))}
    </ul>
  );
}
