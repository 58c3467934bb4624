import type pg from 'pg';
import { encodeId } from '../core/id.ts';
import { pathInExport } from './export-name.ts';
import {
  readEdits,
  readMemberships,
  readMessages,
  readReactions,
  type EditRow,
  type MembershipRow,
  type MessageRow,
  type ReactionRow,
} from './personal-message-row.ts';
import {
  readBlocks,
  readFiles,
  readInvites,
  readProfile,
  readReports,
  readRestrictions,
  readSessions,
  readSignInPlaces,
  type BlockRow,
  type FileRow,
  type InviteRow,
  type ReportRow,
  type RestrictionRow,
  type SessionRow,
} from './personal-row.ts';

/** A text file in an export, in chunks of at most a few megabytes. */
export type ExportedText = { name: string; content: AsyncIterable<string> };

const about = `This is what the chat server has stored about you and what you have written.

profile.json       your account
sessions.json      the devices that are signed in to it
sign-ins.json      the networks and devices that you have signed in from, as hashes, and when last
chats.json         the chats that you are a member of, with the names of other members
messages.json      your messages, also those in chats that you have left
edits.json         what your messages said before you edited them
reactions.json     your reactions to messages
files.json         the files that you have uploaded; the files themselves are in the folder "files"
blocks.json        the users that you have blocked
invites.json       the invites that you have created, without their codes
restrictions.json  suspensions of your account, and your bans and mutes in chats
reports.json       the messages that you have reported, without what they said

Ids are those of the server's API. Times are in UTC.
`;

/**
 * Returns the text files in the export of a user's data. About other users, the files contain only ids, and the names
 * of users who share a chat with the user. They contain no secrets, such as invite codes.
 */
export function personalTexts(pool: pg.Pool, userId: bigint): ExportedText[] {
  return [
    { name: 'README.txt', content: textOf(about) },
    { name: 'profile.json', content: describeProfile(pool, userId) },
    { name: 'sessions.json', content: listOf(readSessions(pool, userId), describeSession) },
    { name: 'sign-ins.json', content: listOf(readSignInPlaces(pool, userId), (place) => place) },
    { name: 'chats.json', content: listOf(readMemberships(pool, userId), describeMembership) },
    { name: 'messages.json', content: listOf(readMessages(pool, userId), describeMessage) },
    { name: 'edits.json', content: listOf(readEdits(pool, userId), describeEdit) },
    { name: 'reactions.json', content: listOf(readReactions(pool, userId), describeReaction) },
    { name: 'files.json', content: listOf(readFiles(pool, userId), describeFile) },
    { name: 'blocks.json', content: listOf(readBlocks(pool, userId), describeBlock) },
    { name: 'invites.json', content: listOf(readInvites(pool, userId), describeInvite) },
    { name: 'restrictions.json', content: listOf(readRestrictions(pool, userId), describeRestriction) },
    { name: 'reports.json', content: listOf(readReports(pool, userId), describeReport) },
  ];
}

async function* textOf(text: string): AsyncGenerator<string> {
  yield text;
}

/** Formats the rows as a JSON array, one row per line. */
async function* listOf<Row>(pages: AsyncIterable<Row[]>, describe: (row: Row) => object): AsyncGenerator<string> {
  let before = '[\n';
  for await (const rows of pages) {
    if (rows.length === 0) continue;
    yield before + rows.map((row) => JSON.stringify(describe(row))).join(',\n');
    before = ',\n';
  }
  yield before === '[\n' ? '[]\n' : '\n]\n';
}

async function* describeProfile(pool: pg.Pool, userId: bigint): AsyncGenerator<string> {
  const profile = await readProfile(pool, userId);
  const { avatarFileId = null, ...rest } = profile ?? {};
  yield `${JSON.stringify({ id: encodeId('User', userId), ...rest, avatarFileId: idOf('File', avatarFileId) }, null, 2)}\n`;
}

function idOf(type: string, key: bigint | null): string | null {
  return key === null ? null : encodeId(type, key);
}

const describeSession = ({ id, ...session }: SessionRow) => ({
  id: encodeId('Session', id),
  ...session,
});

const describeMembership = ({ chatId, others, ...membership }: MembershipRow) => ({
  chatId: encodeId('Chat', chatId),
  ...membership,
  otherMembers: others,
});

const describeMessage = (row: MessageRow) => {
  const { id, chatId, replyToId, mentionedIds, fileIds, ...message } = row;
  return {
    id: encodeId('Message', id),
    chatId: encodeId('Chat', chatId),
    replyToId: idOf('Message', replyToId),
    ...message,
    mentionedUserIds: mentionedIds.map((each) => encodeId('User', each)),
    fileIds: fileIds.map((each) => encodeId('File', each)),
  };
};

const describeEdit = ({ messageId, ...edit }: EditRow) => ({
  messageId: encodeId('Message', messageId),
  ...edit,
});

const describeReaction = ({ messageId, emoji, createdAt }: ReactionRow) => ({
  messageId: encodeId('Message', messageId),
  emoji,
  createdAt,
});

const describeFile = (row: FileRow) => ({
  id: encodeId('File', row.id),
  path: pathInExport(row),
  name: row.name,
  contentType: row.contentType,
  size: row.size,
  sha256: row.hash,
  createdAt: row.createdAt,
  messageId: idOf('Message', row.messageId),
  isAvatar: row.isAvatar,
});

const describeBlock = ({ blockedId, blockedAt }: BlockRow) => ({
  userId: encodeId('User', blockedId),
  blockedAt,
});

const describeInvite = ({ id, chatId, ...invite }: InviteRow) => ({
  id: encodeId('Invite', id),
  chatId: idOf('Chat', chatId),
  ...invite,
});

const describeRestriction = ({ kind, chatId, until, reason, createdAt }: RestrictionRow) => ({
  kind,
  chatId: idOf('Chat', chatId),
  until,
  reason,
  createdAt,
});

const describeReport = ({ id, messageId, ...report }: ReportRow) => ({
  id: encodeId('Report', id),
  messageId: idOf('Message', messageId),
  ...report,
});
