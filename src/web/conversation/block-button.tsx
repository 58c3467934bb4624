import { graphql, query } from 'parley-client/tada';
import type { Client } from 'parley-client';
import { ConfirmDialog } from '../confirm.tsx';
import { useLoaded } from '../load.ts';
import { useUi } from '../ui.tsx';
import { useChatChanges } from './chat-change.ts';

const blockedDocument = graphql('query BlockedIds { viewer { blockedUsers(first: 100) { edges { node { id } } } } }');

const ask = async (client: Client) => {
  const { viewer } = await query(client, blockedDocument);
  return new Set(viewer?.blockedUsers.edges.map(({ node }) => node.id));
};

/** Blocks the other person in a conversation, or removes the block. */
export function BlockButton({ userId, name }: { userId: string; name: string }) {
  const { showDialog } = useUi();
  const { block, unblock } = useChatChanges('');
  const { data: blocked, reload } = useLoaded(ask);
  if (blocked?.has(userId)) {
    return (
      <button className="button slim" onClick={() => void unblock(userId).then(reload)}>
        Unblock
      </button>
    );
  }
  const confirm = async () => {
    const isDone = await block(userId);
    reload();
    return isDone;
  };
  return (
    <button
      className="button slim danger"
      onClick={() =>
        showDialog(
          <ConfirmDialog
            title={`Block ${name}?`}
            text="They can no longer write to you here and cannot see whether you are online."
            action="Block"
            confirm={confirm}
            onClose={() => showDialog(null)}
          />,
        )
      }
    >
      Block
    </button>
  );
}
