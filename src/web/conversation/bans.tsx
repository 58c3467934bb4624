import { nameOf, useClient } from 'parley-client/react';
import { graphql, query } from 'parley-client/tada';
import type { Client } from 'parley-client';
import { useCallback, useEffect } from 'react';
import { Avatar } from '../avatar.tsx';
import { watchEvents } from '../chat-client.ts';
import { useLoaded } from '../load.ts';
import { useAttempt } from '../notice.tsx';
import { momentOf } from '../time.ts';

const bansDocument = graphql(`
  query Bans($id: ID!) {
    chat(id: $id) {
      bans(first: 50) {
        edges {
          node {
            id
            until
            reason
            user {
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
  }
`);
const unbanDocument = graphql(`
  mutation Unban($id: ID!, $user: ID!) {
    unbanMember(chatId: $id, userId: $user) {
      __typename
      ... on Error {
        code
        message
      }
    }
  }
`);

/** The users who are banned from the chat. Renders nothing if there are none. */
export function Bans({ chatId }: { chatId: string }) {
  const client = useClient();
  const attempt = useAttempt();
  const ask = useCallback((asking: Client) => query(asking, bansDocument, { id: chatId }), [chatId]);
  const { data, reload } = useLoaded(ask);
  useEffect(
    () => watchEvents(({ event }) => event.__typename === 'RemoveFromChat' && event.chatId === chatId && reload()),
    [chatId, reload],
  );
  const bans = data?.chat?.bans?.edges ?? [];
  if (bans.length === 0) return null;
  return (
    <section>
      <h3>Banned</h3>
      <ul>
        {bans.map(
          ({ node: { id, until, reason, user } }) =>
            user !== null && (
              <li key={id} className="member row">
                <Avatar user={user} size={30} />
                <span className="grow">
                  <span className="clip block">{nameOf(user)}</span>
                  <span className="muted small block">
                    {until === null ? 'Until it is lifted' : `Until ${momentOf(until)}`}
                    {reason !== null && `: ${reason}`}
                  </span>
                </span>
                <button
                  className="link-button small"
                  onClick={() =>
                    void attempt(() => query(client, unbanDocument, { id: chatId, user: user.id })).then(reload)
                  }
                >
                  Lift the ban
                </button>
              </li>
            ),
        )}
      </ul>
    </section>
  );
}
