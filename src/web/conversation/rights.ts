import { useChat, useClient, useConnection } from 'parley-client/react';
import { graphql, query } from 'parley-client/tada';
import { useEffect, useState } from 'react';

const rightsDocument = graphql(`
  query ChatRights($id: ID!) {
    chat(id: $id) {
      memberCount
      viewerCan
    }
  }
`);

const none: ReadonlySet<string> = new Set();

/**
 * Returns what the viewer may do in a chat, and how many members the chat has. Fetches both again when the rights may
 * have changed.
 */
export function useChatFacts(chatId: string): { rights: ReadonlySet<string>; memberCount: number | null } {
  const client = useClient();
  const connection = useConnection();
  const chat = useChat(chatId);
  const [facts, setFacts] = useState<{ rights: ReadonlySet<string>; memberCount: number | null }>({
    // Until the rights are known, the user can write. A message that the user sends then waits, and is refused later if
    // necessary.
    rights: new Set(['SEND_MESSAGE']),
    memberCount: null,
  });
  const [role, type, mutedUntil] = [chat?.role, chat?.type, chat?.mutedUntil];
  useEffect(() => {
    let isShown = true;
    const ask = async () => {
      const { chat: found } = await query(client, rightsDocument, { id: chatId });
      if (isShown && found !== null) setFacts({ rights: new Set(found.viewerCan), memberCount: found.memberCount });
    };
    ask().catch(() => {});
    const mutedMs = mutedUntil == null ? NaN : Date.parse(mutedUntil) - Date.now();
    // There is no event when a mute ends by itself.
    const timer = mutedMs < maxTimerMs ? setTimeout(() => void ask().catch(() => {}), mutedMs + 500) : undefined;
    return () => {
      isShown = false;
      clearTimeout(timer);
    };
  }, [client, chatId, connection, role, type, mutedUntil]);
  return chat === undefined ? { rights: none, memberCount: null } : facts;
}

const maxTimerMs = 2 ** 31 - 1;
