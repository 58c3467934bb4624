import { nameOf, titleOf, useChats, useClient, useViewer } from 'parley-client/react';
import { graphql, query } from 'parley-client/tada';
import type { Client } from 'parley-client';
import { useCallback, useState, type KeyboardEvent, type ReactNode } from 'react';
import { Avatar, ChatAvatar } from '../avatar.tsx';
import { Dialog } from '../dialog.tsx';
import { Icon } from '../icon.tsx';
import { useLoaded, useSettled } from '../load.ts';
import { useAttempt } from '../notice.tsx';
import { usePeople } from './people-search.ts';
import { moveFocus } from '../popover.tsx';
import { openChat } from '../route.ts';

const channelsDocument = graphql(`
  query FindChannels($search: String) {
    publicChannels(search: $search, first: 12) {
      edges {
        node {
          id
          name
          description
          memberCount
        }
      }
    }
  }
`);
const joinDocument = graphql(`
  mutation Join($id: ID!) {
    joinChat(chatId: $id) {
      __typename
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
const maxChats = 6;

/** Finds the user's chats, people to write to, and channels to join. */
export function FindDialog({ onClose }: { onClose: () => void }) {
  const client = useClient();
  const attempt = useAttempt();
  const [text, setText] = useState('');
  const all = useChats();
  const wanted = text.trim().toLowerCase();
  const chats = all.filter((chat) => titleOf(chat).toLowerCase().includes(wanted)).slice(0, maxChats);
  const channels = useChannels(text).filter(({ id }) => !all.some((chat) => chat.id === id));
  const go = (work: () => Promise<string>) =>
    void attempt(async () => {
      openChat(await work());
      onClose();
    });
  const write = (id: string) => go(async () => (await client.createChat({ type: 'SINGLE', memberIds: [id] })).id);
  const join = (id: string) =>
    go(async () => {
      await query(client, joinDocument, { id });
      return id;
    });
  return (
    <Dialog title="Find" onClose={onClose} className="find-dialog">
      <div className="stack" onKeyDown={(event) => (event.key === 'Escape' ? onClose() : moveFound(event))}>
        <input
          className="input"
          type="search"
          aria-label="Find people, channels and chats"
          placeholder="A name"
          value={text}
          onChange={({ target }) => setText(target.value)}
        />
        <Section title="Your chats">
          {chats.map((chat) => (
            <Row
              key={chat.id}
              title={titleOf(chat)}
              picture={<ChatAvatar chat={chat} size={30} />}
              choose={() => go(async () => chat.id)}
            />
          ))}
        </Section>
        <PeopleSection text={text} choose={write} />
        <Section title="Channels to join">
          {channels.map(({ id, name, memberCount, description }) => (
            <Row
              key={id}
              title={name ?? 'Channel'}
              about={description ?? `${memberCount} members`}
              picture={<Icon name="hash" />}
              choose={() => join(id)}
            />
          ))}
        </Section>
      </div>
    </Dialog>
  );
}

/**
 * The down arrow moves from the field to the first result, the up arrow moves back from there, and Enter in the field
 * picks the first result.
 */
function moveFound(event: KeyboardEvent<HTMLElement>): void {
  const { currentTarget, target, key } = event;
  const field = currentTarget.querySelector('input');
  const first = currentTarget.querySelector<HTMLElement>('.found-row');
  if (target === field && key === 'ArrowDown') first?.focus();
  else if (target === field && key === 'Enter') first?.click();
  else if (document.activeElement === first && key === 'ArrowUp') field?.focus();
  else return moveFocus(event);
  event.preventDefault();
}

function PeopleSection({ text, choose }: { text: string; choose: (id: string) => void }) {
  const viewerId = useViewer()?.user.id;
  const people = usePeople(text).filter(({ id }) => id !== viewerId);
  return (
    <Section title="People">
      {people.map((user) => (
        <Row
          key={user.id}
          title={nameOf(user)}
          about={`@${user.username}`}
          picture={<Avatar user={user} size={30} />}
          choose={() => choose(user.id)}
        />
      ))}
    </Section>
  );
}

function useChannels(text: string) {
  const search = useSettled(text.trim());
  const ask = useCallback(
    async (client: Client) => {
      const { publicChannels } = await query(client, channelsDocument, { search: search === '' ? null : search });
      return publicChannels.edges.map(({ node }) => node);
    },
    [search],
  );
  return useLoaded(ask).data ?? [];
}

function Section({ title, children }: { title: string; children: ReactNode[] }) {
  if (children.length === 0) return null;
  return (
    <section>
      <h3 className="section-title">{title}</h3>
      {children}
    </section>
  );
}

function Row({
  title,
  about,
  picture,
  choose,
}: {
  title: string;
  about?: string;
  picture: ReactNode;
  choose: () => void;
}) {
  return (
    <button className="found-row" onClick={choose}>
      <span className="found-picture">{picture}</span>
      <span className="clip">{title}</span>
      <span className="muted small clip">{about}</span>
    </button>
  );
}
