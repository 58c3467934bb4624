import { nameOf, titleOf, useChats } from 'parley-client/react';
import { graphql, query, type ResultOf } from 'parley-client/tada';
import type { Chat, Client } from 'parley-client';
import { useCallback, useEffect, useRef, useState, type ReactNode } from 'react';
import { Avatar } from '../avatar.tsx';
import { describeFailure } from '../failure.ts';
import { useLoaded, useSettled } from '../load.ts';
import { isPhone } from '../phone.ts';
import { moveFocus } from '../popover.tsx';
import { openChat } from '../route.ts';
import { shortTimeOf } from '../time.ts';
import { useUi } from '../ui.tsx';

const searchDocument = graphql(`
  query Search($query: String!, $filter: MessageFilter) {
    searchMessages(query: $query, filter: $filter, first: 30) {
      totalCount
      edges {
        snippet
        ranges {
          start
          end
        }
        node {
          id
          seq
          createdAt
          chat {
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
  }
`);

type Hit = ResultOf<typeof searchDocument>['searchMessages']['edges'][number];

/** Finds messages in this chat or in all chats. */
export function SearchPanel({ chat }: { chat: Chat }) {
  const [text, setText] = useState('');
  const [isEverywhere, setEverywhere] = useState(false);
  const words = useSettled(text.trim());
  const chatId = isEverywhere ? null : chat.id;
  const ask = useCallback(
    async (client: Client) => {
      if (words === '') return null;
      const filter = chatId === null ? null : { chatId };
      return (await query(client, searchDocument, { query: words, filter })).searchMessages;
    },
    [words, chatId],
  );
  const { data, error } = useLoaded(ask);
  const field = useRef<HTMLInputElement>(null);
  const hits = useRef<HTMLUListElement>(null);
  useEffect(() => field.current?.focus(), []);
  return (
    <div className="stack">
      <input
        ref={field}
        className="input"
        type="search"
        aria-label="Search messages"
        placeholder={isEverywhere ? 'Search all chats' : `Search in ${titleOf(chat)}`}
        value={text}
        onChange={({ target }) => setText(target.value)}
        onKeyDown={({ key }) => key === 'ArrowDown' && hits.current?.querySelector('button')?.focus()}
      />
      <label className="row small">
        <input type="checkbox" checked={isEverywhere} onChange={({ target }) => setEverywhere(target.checked)} />
        In all chats
      </label>
      <p className="muted small" role="status">
        {words === '' || data === null ? '' : describeCount(data.totalCount)}
        {error !== null && describeFailure(error)}
      </p>
      <ul ref={hits} className="hits" onKeyDown={(event) => moveFocus(event)}>
        {data?.edges.map((hit) => (
          <li key={hit.node.id}>
            <HitButton hit={hit} isNamed={isEverywhere} />
          </li>
        ))}
      </ul>
    </div>
  );
}

function HitButton({ hit: { node, snippet, ranges }, isNamed }: { hit: Hit; isNamed: boolean }) {
  const { showPanel } = useUi();
  const chats = useChats();
  const chat = isNamed ? chats.find(({ id }) => id === node.chat.id) : undefined;
  return (
    <button
      className="hit"
      onClick={() => {
        if (isPhone()) showPanel(null);
        openChat(node.chat.id, node.seq);
      }}
    >
      <span className="row">
        <Avatar user={node.sender} size={24} />
        <strong className="grow clip">
          {nameOf(node.sender)}
          {chat !== undefined && <span className="muted"> in {titleOf(chat)}</span>}
        </strong>
        <span className="muted small">{shortTimeOf(node.createdAt)}</span>
      </span>
      <span className="snippet">{markRanges(snippet, ranges)}</span>
    </button>
  );
}

/** Returns the text with its matches marked. The ranges are in code points; see `TextRange` in the schema. */
function markRanges(text: string, ranges: Hit['ranges']): ReactNode[] {
  const points = [...text];
  const slice = (start: number, end?: number) => points.slice(start, end).join('');
  const shown: ReactNode[] = [];
  let position = 0;
  for (const { start, end } of ranges) {
    shown.push(slice(position, start), <mark key={start}>{slice(start, end)}</mark>);
    position = end;
  }
  return [...shown, slice(position)];
}

function describeCount(count: number): string {
  if (count === 0) return 'Nothing was found.';
  if (count === 1) return '1 message';
  return count >= 1_000 ? '1,000 messages or more' : `${count} messages`;
}
