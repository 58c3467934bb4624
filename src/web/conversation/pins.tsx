import { nameOf } from 'parley-client/react';
import { graphql, query } from 'parley-client/tada';
import type { Client } from 'parley-client';
import { useCallback, useEffect } from 'react';
import { Avatar } from '../avatar.tsx';
import { watchEvents } from '../chat-client.ts';
import { describeFailure } from '../failure.ts';
import { useLoaded } from '../load.ts';
import { useMessageActions } from '../history/action.ts';
import { MessageText } from '../history/message-text.tsx';
import { isPhone } from '../phone.ts';
import { openChat } from '../route.ts';
import { useUi } from '../ui.tsx';
import { shortTimeOf } from '../time.ts';

const pinsDocument = graphql(`
  query Pins($id: ID!) {
    chat(id: $id) {
      pinnedMessages {
        id
        seq
        content
        createdAt
        files {
          id
        }
        sender {
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
`);

/** The pinned messages of a chat. */
export function Pins({ chatId, canUnpin }: { chatId: string; canUnpin: boolean }) {
  const ask = useCallback((client: Client) => query(client, pinsDocument, { id: chatId }), [chatId]);
  const { data, error, reload } = useLoaded(ask);
  const { pin } = useMessageActions();
  const jump = useJump(chatId);
  useEffect(
    () =>
      watchEvents(({ event }) => {
        const isAboutPins = event.__typename === 'PinsChanged' || event.__typename === 'MessageDeleted';
        if (isAboutPins && event.message.chat.id === chatId) reload();
      }),
    [chatId, reload],
  );
  if (data === null) return <p className="muted">{error === null ? 'Loading …' : describeFailure(error)}</p>;
  const pins = data.chat?.pinnedMessages ?? [];
  if (pins.length === 0)
    return <p className="muted">Nothing is pinned here. Pin messages that everyone should be able to find.</p>;
  return (
    <ul className="stack">
      {pins.map(({ id, seq, content, sender, createdAt, files }) => (
        <li key={id} className="card">
          <p className="row">
            <Avatar user={sender} size={24} />
            <strong className="grow clip">{nameOf(sender)}</strong>
            <span className="muted small">{shortTimeOf(createdAt)}</span>
          </p>
          <p className="excerpt">
            <MessageText text={content || `${files.length} files`} />
          </p>
          <p className="row">
            <button className="link-button small" onClick={() => jump(seq)}>
              Show in the chat
            </button>
            {canUnpin && (
              <button className="link-button small" onClick={() => pin({ id }, false)}>
                Unpin
              </button>
            )}
          </p>
        </li>
      ))}
    </ul>
  );
}

/** Jumps to a message. On a phone, closes the panel first, because it would cover the message. */
function useJump(chatId: string): (seq: number) => void {
  const { showPanel } = useUi();
  return (seq) => {
    if (isPhone()) showPanel(null);
    openChat(chatId, seq);
  };
}
