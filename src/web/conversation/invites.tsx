import { useClient } from 'parley-client/react';
import { graphql, query } from 'parley-client/tada';
import type { Client } from 'parley-client';
import { useCallback } from 'react';
import { describeFailure } from '../failure.ts';
import { Icon } from '../icon.tsx';
import { useLoaded } from '../load.ts';
import { useMessageActions } from '../history/action.ts';
import { useAttempt } from '../notice.tsx';
import { inviteLink } from '../route.ts';
import { useUi } from '../ui.tsx';
import { NewInviteDialog } from './new-invite-dialog.tsx';

const invitesDocument = graphql(`
  query Invites($id: ID!) {
    chat(id: $id) {
      invites(first: 20) {
        edges {
          node {
            id
            code
            usesLeft
            expiresAt
          }
        }
      }
    }
  }
`);
const revokeDocument = graphql(`
  mutation RevokeInvite($id: ID!) {
    revokeInvite(inviteId: $id) {
      __typename
      ... on Error {
        code
        message
      }
    }
  }
`);

/** The links with which other people can join the chat. */
export function Invites({ chatId }: { chatId: string }) {
  const client = useClient();
  const attempt = useAttempt();
  const { copy } = useMessageActions();
  const { showDialog } = useUi();
  const ask = useCallback((asking: Client) => query(asking, invitesDocument, { id: chatId }), [chatId]);
  const { data, error, reload } = useLoaded(ask);
  const invites = data?.chat?.invites?.edges ?? [];
  const create = () =>
    showDialog(<NewInviteDialog chatId={chatId} onCreated={reload} onClose={() => showDialog(null)} />);
  return (
    <section>
      <header className="row">
        <h3 className="grow">Invite links</h3>
        <button className="icon-button" aria-label="New invite link" title="New invite link" onClick={create}>
          <Icon name="add" />
        </button>
      </header>
      {error !== null && <p className="muted small">{describeFailure(error)}</p>}
      <ul>
        {invites.map(({ node: { id, code, usesLeft, expiresAt } }) => (
          <li key={id} className="member row">
            <Icon name="link" />
            <span className="grow clip small">
              …{code.slice(-6)}{' '}
              <span className="muted">
                {usesLeft !== null && `${usesLeft} left, `}
                {expiresAt === null ? 'no end' : `until ${new Date(expiresAt).toLocaleDateString()}`}
              </span>
            </span>
            <button
              className="icon-button"
              aria-label="Copy the link"
              title="Copy the link"
              onClick={() => copy(inviteLink(code))}
            >
              <Icon name="copy" />
            </button>
            <button
              className="icon-button"
              aria-label="Revoke the link"
              title="Revoke the link"
              onClick={() => void attempt(() => query(client, revokeDocument, { id })).then(reload)}
            >
              <Icon name="close" />
            </button>
          </li>
        ))}
      </ul>
    </section>
  );
}
