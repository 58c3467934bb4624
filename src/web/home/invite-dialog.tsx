import { useClient } from 'parley-client/react';
import { graphql, query } from 'parley-client/tada';
import type { Client } from 'parley-client';
import { useCallback } from 'react';
import { Dialog } from '../dialog.tsx';
import { useLoaded } from '../load.ts';
import { useAttempt } from '../notice.tsx';
import { openChat } from '../route.ts';

const inviteDocument = graphql('query Invite($code: String!) { invite(code: $code) { chatName } }');
const joinDocument = graphql(`
  mutation JoinByInvite($code: String!) {
    joinByInvite(code: $code) {
      __typename
      ... on Chat {
        id
      }
      ... on Error {
        code
        message
      }
      ... on Forbidden {
        until
        reason
      }
    }
  }
`);

/** Shows the chat that an invite leads to, and lets the user accept the invite. */
export function InviteDialog({ code, onClose }: { code: string; onClose: () => void }) {
  const client = useClient();
  const attempt = useAttempt();
  const ask = useCallback((asking: Client) => query(asking, inviteDocument, { code }), [code]);
  const { data, error } = useLoaded(ask);
  const join = () =>
    void attempt(async () => {
      const { joinByInvite } = await query(client, joinDocument, { code });
      if (joinByInvite.__typename === 'Chat') openChat(joinByInvite.id);
      else onClose();
    });
  const isOver = error !== null || (data !== null && data.invite === null);
  return (
    <Dialog title="Invitation" onClose={onClose} className="narrow">
      {isOver ? (
        <p>This invite lets no one in any more.</p>
      ) : (
        <p>
          You are invited to <strong>{data?.invite?.chatName ?? 'a chat'}</strong>.
        </p>
      )}
      <div className="row actions">
        <button className="button" onClick={onClose}>
          {isOver ? 'Close' : 'Not now'}
        </button>
        {!isOver && (
          <button className="button primary" onClick={join}>
            Join
          </button>
        )}
      </div>
    </Dialog>
  );
}
