import { isDeepStrictEqual } from 'node:util';
import type { State } from '../../src/client/state.ts';
import type { Data, Person } from './client.ts';
import type { Device } from './device.ts';

const user = 'id username displayName kind avatar { id }';
const messageFields = `id seq kind content clientMessageId createdAt editedAt deletedAt custom
  sender { ${user} }
  replyTo { id seq content deletedAt sender { id } }
  mentions { isEveryone user { id } }
  files { id name contentType size width height blurhash }
  reactions { emoji count viewerReacted }`;
const chatsDocument = `query ($after: String) {
  viewer {
    id unreadChatCount user { ${user} }
    chats(first: 20, after: $after) {
      edges { node {
        id type name description slowModeSeconds avatar { id } custom lastSeq lastActivityAt peer { ${user} }
        lastMessage { ${messageFields} }
        viewerMembership { role mutedUntil notificationLevel lastReadSeq unreadCount unreadMentionCount }
      } }
      pageInfo { hasNextPage endCursor }
    }
  }
}`;
const messagesDocument = `query ($id: ID!, $after: String) {
  chat(id: $id) { messages(first: 50, after: $after) { edges { node { ${messageFields} } } pageInfo { hasNextPage endCursor } } }
}`;
const membersDocument = `query ($id: ID!) {
  chat(id: $id) { members(first: 100) { edges { node { role mutedUntil user { ${user} } } } } }
}`;

/** Everything that a user can see now, as returned by queries, in the shape of the client's state. */
export type Truth = {
  viewer: Data;
  chatIds: string[];
  chats: Record<string, Data>;
  messages: Record<string, Data[]>;
  members: Record<string, Data>;
  users: Record<string, Data>;
};

/** Asks the server for everything that a user can see. */
export async function readTruth(person: Person): Promise<Truth> {
  const truth: Truth = { viewer: null, chatIds: [], chats: {}, messages: {}, members: {}, users: {} };
  const note = (someone: Data) => someone && (truth.users[someone.id] = someone);
  for (let after: string | null = null; ;) {
    const { viewer } = await person.ask(chatsDocument, { after });
    const { edges, pageInfo } = viewer.chats;
    truth.viewer = { id: viewer.id, user: viewer.user, unreadChatCount: viewer.unreadChatCount };
    note(viewer.user);
    for (const { node } of edges) {
      const { viewerMembership, lastMessage, ...chat } = node;
      note(chat.peer);
      truth.chatIds.push(chat.id);
      truth.chats[chat.id] = { ...chat, ...viewerMembership, lastMessage: lastMessage && plain(lastMessage) };
    }
    after = pageInfo.endCursor;
    if (!pageInfo.hasNextPage) break;
  }
  for (const id of truth.chatIds) {
    truth.messages[id] = await readMessages(person, id, note);
    const { chat } = await person.ask(membersDocument, { id });
    const rows: [string, Data][] = chat.members.edges.map(({ node }: Data) => {
      note(node.user);
      return [node.user.id, { role: node.role, mutedUntil: node.mutedUntil }];
    });
    truth.members[id] = Object.fromEntries(rows);
  }
  return truth;
}

async function readMessages(person: Person, id: string, note: (someone: Data) => void): Promise<Data[]> {
  const messages: Data[] = [];
  for (let after: string | null = null; ;) {
    const { chat } = await person.ask(messagesDocument, { id, after });
    for (const { node } of chat.messages.edges) {
      note(node.sender);
      messages.push(plain(node));
    }
    after = chat.messages.pageInfo.endCursor;
    if (!chat.messages.pageInfo.hasNextPage) return messages;
  }
}

function plain({ sender, replyTo, mentions, ...rest }: Data): Data {
  return {
    ...rest,
    senderId: sender?.id ?? null,
    replyTo: replyTo && quote(replyTo),
    mentions: mentions.map((mention: Data) => mention.user?.id ?? null),
  };
}

function quote({ sender, ...rest }: Data): Data {
  return { ...rest, senderId: sender?.id ?? null };
}

/** Returns the differences between the state and the results of a fresh query. The list is empty if there are none. */
export function differences(state: State, truth: Truth): string[] {
  const found: string[] = [];
  const compare = (what: string, is: unknown, should: unknown) => {
    if (!isDeepStrictEqual(is, should))
      found.push(`${what}: ${JSON.stringify(is)} instead of ${JSON.stringify(should)}`);
  };
  compare('viewer', state.viewer, truth.viewer);
  compare('the order of the chats', state.chatIds, truth.chatIds);
  compare('the chats', Object.keys(state.chats).toSorted(), truth.chatIds.toSorted());
  for (const [id, chat] of Object.entries(state.chats)) {
    const { countedAt: _, exactAfter: __, ...shown } = chat;
    compare(`chat ${id}`, shown, truth.chats[id]);
  }
  for (const [id, window] of Object.entries(state.messages)) {
    compareWindow(compare, id, { window, all: truth.messages[id] ?? [] });
    if (truth.chats[id] === undefined) found.push(`messages of ${id}, which the user does not have`);
  }
  for (const [id, members] of Object.entries(state.members)) compare(`members of ${id}`, members, truth.members[id]);
  for (const [id, someone] of Object.entries(state.users)) {
    // Users who are missing from `truth` share no chat with this user, who therefore receives no events about them.
    if (truth.users[id] !== undefined) compare(`user ${id}`, someone, truth.users[id]);
  }
  compare('who is typing', state.typing, {});
  compare('what is uncertain', state.sync.stale, {});
  return found;
}

function compareWindow(
  compare: (what: string, is: unknown, should: unknown) => void,
  id: string,
  { window, all }: { window: State['messages'][string]; all: Data[] },
): void {
  const [first, last] = [window.messages[0], window.messages.at(-1)];
  compare(`pending in ${id}`, window.pending, []);
  if (first === undefined || last === undefined) {
    if (!window.hasNewer) compare(`messages of ${id}`, window.messages, all);
    return;
  }
  const stretch = all.filter(({ seq }) => seq >= first.seq && seq <= last.seq);
  compare(`messages of ${id}`, window.messages, stretch);
  compare(`hasOlder of ${id}`, window.hasOlder, all[0]?.seq !== first.seq);
  compare(`hasNewer of ${id}`, window.hasNewer, all.at(-1)?.seq !== last.seq);
}

/**
 * Returns the data that a device stores or shows although its user cannot see it, and the messages that it still has to
 * send. Call this after the client has stopped.
 */
export function leftovers({ stored, client }: Device, truth: Truth): string[] {
  const visible = new Set(Object.values(truth.messages).flatMap((messages) => messages.map(({ id }) => id)));
  const chats = new Set(truth.chatIds);
  const found: string[] = [];
  for (const [key, text] of stored) {
    const window = /messages:(.*)$/.exec(key)?.[1];
    if (window !== undefined && !chats.has(window)) found.push(`${key} is still stored`);
    if (key.endsWith(':outbox')) found.push(`the outbox is not empty: ${text}`);
    if (window !== undefined) {
      for (const { id } of JSON.parse(text).messages) if (!visible.has(id)) found.push(`message ${id} is still stored`);
    }
    if (key.endsWith(':state')) {
      const { chats: kept } = JSON.parse(text).state;
      for (const id of Object.keys(kept)) if (!chats.has(id)) found.push(`chat ${id} is still stored`);
    }
  }
  for (const [id, window] of Object.entries(client.state.messages)) {
    for (const message of window.messages)
      if (!visible.has(message.id)) found.push(`a message of ${id} is still shown`);
  }
  return found;
}
