import DataLoader from 'dataloader';
import type { Db } from '../database/client.ts';
import type { Chat, Member, Message, User } from '../database/generated/prisma/client.ts';
import { columns } from '../database/rows.ts';
import { listChatFiles, listMessageFiles, loadFiles, type PlacedFile, type SharedFile } from '../domain/file.ts';
import { listMembers, listMessages, listReaders, readHiddenBelow, readVisibleFrom } from '../domain/history.ts';
import { countUnreadMentions, listMentioned } from '../domain/mention.ts';
import { listRevisions, type Revision } from '../domain/message-edit.ts';
import type { Page, PageRequest } from '../domain/page.ts';
import { listPinned } from '../domain/pin.ts';
import { listOwnReactions, listReactions, type EmojiCount } from '../domain/reaction.ts';
import { readPresences, type Presence } from '../domain/presence.ts';
import { countUnread } from '../domain/unread.ts';
import { NotFound } from '../errors.ts';
import { rowsOf, type MessageRow } from './row-loaders.ts';

/** A person's place in a chat. */
export type Place = { chatId: bigint; userId: bigint };
type MessagePlace = { chatId: bigint; seq: number };

/**
 * Rows by key, one statement for all that are asked for together, so that no operation's number of statements grows
 * with its number of rows. Those by id answer what is stored, not what somebody may see: that is asked before.
 */
export type Loaders = {
  user: DataLoader<bigint, User | null>;
  /** Also one whose account is being erased, as long as it is a member somewhere. */
  memberUser: DataLoader<bigint, User | null>;
  chat: DataLoader<bigint, Chat | null>;
  message: DataLoader<bigint, Message | null>;
  messageAt: DataLoader<MessagePlace, Message | null, string>;
  member: DataLoader<Place, Member | null, string>;
  unreadCount: DataLoader<Place, number, string>;
  /** Null for somebody who shares no chat with that viewer. */
  presence: DataLoader<{ viewerId: bigint; userId: bigint }, Presence | null, string>;
  unreadMentionCount: DataLoader<Place, number, string>;
  revisions: DataLoader<MessagePlace, Revision[], string>;
  reactions: DataLoader<MessagePlace, EmojiCount[], string>;
  /** The emoji with which a person reacts. */
  ownReactions: DataLoader<MessagePlace & Place, ReadonlySet<string>, string>;
  /** The people whom a message names. */
  mentioned: DataLoader<MessagePlace, bigint[], string>;
  pinned: DataLoader<bigint, Message[]>;
  /** A file by its own id. */
  file: DataLoader<bigint, SharedFile | null>;
  /** The files of a message, by its id. */
  files: DataLoader<bigint, SharedFile[]>;
  /** The first seq that a person sees of a chat; null for one who doesn't see the chat. */
  visibleFrom: DataLoader<Place, number | null, string>;
  /** Below this seq a chat's history is hidden from some member; 1 where it is hidden from nobody. */
  hiddenBelow: DataLoader<bigint, number>;
  /** A page of each chat's messages, as far as that person sees them. */
  messages: (page: PageRequest) => DataLoader<Place, Page<Message>, string>;
  /** A page of each chat's files, as far as that person sees them. */
  chatFiles: (page: PageRequest) => DataLoader<Place, Page<PlacedFile>, string>;
  /** A page of each chat's members. */
  members: (page: PageRequest) => DataLoader<bigint, Page<Member>>;
  /** A page of those who have read up to a place, as far as that person sees it. */
  readers: (page: PageRequest) => DataLoader<Place & { seq: number }, Page<Member>, string>;
};

/** What a foreign key points at went between two statements, and with it whatever pointed there. */
export class Gone extends NotFound {}

/** A row that has to be there. Rejects with Gone. */
export async function present<Row>(loading: Promise<Row | null>): Promise<Row> {
  const row = await loading;
  if (row === null) throw new Gone('What this belongs to has just gone.');
  return row;
}

export function createLoaders(db: Db): Loaders {
  const rows = rowsOf(db);
  const byPlace = <Value>(load: (places: readonly Place[]) => Promise<Value[]>) =>
    new DataLoader<Place, Value, string>(load, { cacheKeyFn: ({ chatId, userId }) => `${chatId}:${userId}` });
  const ofMessage = <Value>(load: (places: readonly MessagePlace[]) => Promise<Value[]>) =>
    new DataLoader<MessagePlace, Value, string>(load, { cacheKeyFn: ({ chatId, seq }) => `${chatId}:${seq}` });
  const user = new DataLoader<bigint, User | null>((ids) => rows.user.loadMany(ids));
  const chat = new DataLoader<bigint, Chat | null>((ids) => rows.chat.loadMany(ids));
  return {
    user,
    memberUser: new DataLoader((ids) => rows.memberUser.loadMany(ids)),
    chat,
    message: new DataLoader(async (ids) => {
      const found = await rows.message.loadMany(ids);
      return found.map((row) => (row === null || row instanceof Error ? row : introduce(row, { user, chat })));
    }),
    messageAt: ofMessage((places) => loadMessagesAt(db, places)),
    member: byPlace((places) => loadMembers(db, places)),
    unreadCount: byPlace((places) => countUnread(db, places)),
    presence: new DataLoader((pairs) => readPresences(db, pairs), {
      cacheKeyFn: ({ viewerId, userId }) => `${viewerId}:${userId}`,
    }),
    unreadMentionCount: byPlace((places) => countUnreadMentions(db, places)),
    revisions: ofMessage((places) => listRevisions(db, places)),
    reactions: ofMessage((places) => listReactions(db, places)),
    ownReactions: new DataLoader((places) => listOwnReactions(db, places), {
      cacheKeyFn: ({ chatId, seq, userId }) => `${chatId}:${seq}:${userId}`,
    }),
    mentioned: ofMessage((places) => listMentioned(db, places)),
    pinned: new DataLoader((chatIds) => listPinned(db, chatIds)),
    file: new DataLoader((fileIds) => loadFiles(db, fileIds)),
    files: new DataLoader((messageIds) => listMessageFiles(db, messageIds)),
    visibleFrom: byPlace((places) => readVisibleFrom(db, places)),
    hiddenBelow: new DataLoader((chatIds) => readHiddenBelow(db, chatIds)),
    messages: byPage((page) => byPlace((places) => listMessages(db, places, page))),
    chatFiles: byPage((page) => byPlace((places) => listChatFiles(db, places, page))),
    members: byPage((page) => new DataLoader((chatIds) => listMembers(db, chatIds, page))),
    readers: byPage(
      (page) =>
        new DataLoader((places) => listReaders(db, places, page), {
          cacheKeyFn: ({ chatId, userId, seq }) => `${chatId}:${userId}:${seq}`,
        }),
    ),
  };
}

/** The message; what came with it is known from now on. */
function introduce({ message, sender, chat }: MessageRow, loaders: Pick<Loaders, 'user' | 'chat'>): Message {
  if (message.senderId !== null) loaders.user.prime(message.senderId, sender);
  loaders.chat.prime(chat.id, chat);
  return message;
}

/** What is found in it will ask for it: were it read anew and gone by then, everything else asked for would go along. */
export function introduceChat(loaders: Loaders, chat: Chat): void {
  loaders.chat.prime(chat.id, chat);
}

/** A message has changed: what is asked of it from here on is read anew. Returns it. */
export function forgetMessage(loaders: Loaders, message: Message): Message {
  loaders.message.clear(message.id);
  for (const ofMessage of [loaders.messageAt, loaders.revisions, loaders.reactions, loaders.mentioned]) {
    ofMessage.clear(message);
  }
  loaders.ownReactions.clearAll();
  loaders.files.clear(message.id);
  loaders.pinned.clear(message.chatId);
  return message;
}

/** One loader for all that ask for the same page. */
function byPage<Loader>(create: (page: PageRequest) => Loader): (page: PageRequest) => Loader {
  const loaders = new Map<string, Loader>();
  return (page) => {
    const key = [page.limit, page.isBackward, page.after, page.before].join('|');
    const loader = loaders.get(key) ?? create(page);
    loaders.set(key, loader);
    return loader;
  };
}

async function loadMessagesAt({ pool }: Db, places: readonly { chatId: bigint; seq: number }[]) {
  const { rows } = await pool.query<Message>(
    `select ${columns.message('m')}
    from unnest($1::bigint[], $2::int[]) as place (chat_id, seq)
    join messages m using (chat_id, seq)`,
    [places.map(({ chatId }) => chatId), places.map(({ seq }) => seq)],
  );
  return places.map((place) => rows.find(({ chatId, seq }) => chatId === place.chatId && seq === place.seq) ?? null);
}

async function loadMembers({ pool }: Db, places: readonly Place[]): Promise<(Member | null)[]> {
  const { rows } = await pool.query<Member>({
    name: 'members_at',
    text: `select ${columns.member('m')}
    from unnest($1::bigint[], $2::bigint[]) as place (chat_id, user_id)
    join members m using (chat_id, user_id)`,
    values: [places.map(({ chatId }) => chatId), places.map(({ userId }) => userId)],
  });
  const found = new Map(rows.map((row) => [`${row.chatId}:${row.userId}`, row]));
  return places.map(({ chatId, userId }) => found.get(`${chatId}:${userId}`) ?? null);
}
