import { createServer, type IncomingMessage } from 'node:http';
import process from 'node:process';
import pg from 'pg';
import { encodeId } from '../../src/core/id.ts';
import { encodeCursor, lists } from '../../src/postgres/page.ts';
import type { Subject } from '../read/subject.ts';

/**
 * The least work with which Node can give the same answers as this server: one named statement that also checks
 * visibility, and the conversion of its rows to JSON. It has no GraphQL and no authentication.
 */
const pool = new pg.Pool({ connectionString: process.env['DATABASE_URL'], max: 10 });

type Row = Record<string, string>;
/** `id` is absent for queries about the user themselves, such as `viewer`. */
type Input = { id?: string; userId: string };

const visible = `coalesce((select visible_from_seq from members where chat_id = c.id and user_id = $2),
  case when c.type = 'PUBLIC_CHANNEL' then 1 end)`;
const page = `from chats c join messages m on m.chat_id = c.id and m.seq >= ${visible}
  left join users s on s.id = m.sender_id and s.deleted_at is null`;
const message = `m.id, m.seq, m.content, m.created_at, s.id as sid, s.username, s.display_name`;
const person = (alias: string) =>
  `json_build_object('id', ${alias}.id, 'username', ${alias}.username, 'displayName', ${alias}.display_name)`;
const pictured = (alias: string) => `json_build_object('id', ${alias}.id, 'username', ${alias}.username,
  'displayName', ${alias}.display_name, 'avatar', (select json_build_object('id', f.id, 'contentType', b.content_type)
    from files f join blobs b on b.hash = f.blob_hash where f.id = ${alias}.avatar_file_id))`;

const statements: Record<Subject, string> = {
  'page of 50': `select ${message} ${page} where c.id = $1 order by m.seq desc limit 51`,
  'rich page of 50': `select ${message}, m.edited_at,
    (select json_agg(json_build_object('emoji', r.emoji, 'count', r.count, 'viewerReacted',
      exists (select from reactions o where (o.chat_id, o.seq, o.user_id, o.emoji) = (m.chat_id, m.seq, $2::bigint, r.emoji)))
      order by r.created_at, r.emoji) from reaction_counts r where (r.chat_id, r.seq) = (m.chat_id, m.seq)) as reactions,
    (select json_agg(json_build_object('id', f.id, 'name', f.name, 'contentType', b.content_type, 'size', b.size) order by f.place)
      from files f join blobs b on b.hash = f.blob_hash where f.message_id = m.id) as files,
    (select json_build_object('id', q.id, 'seq', q.seq, 'content', q.content, 'sender', ${person('w')})
      from messages q left join users w on w.id = q.sender_id where (q.chat_id, q.seq) = (m.chat_id, m.reply_to_seq)) as reply,
    (select json_agg(${person('w')}) from mentions n join users w on w.id = n.user_id
      where (n.chat_id, n.seq) = (m.chat_id, m.seq)) as mentions
    ${page} where c.id = $1 order by m.seq desc limit 51`,
  'chat list of 20': `select c.id as cid, c.type, c.name, c.last_seq, c.last_activity_at, c.member_count, mine.last_read_seq,
    c.last_seq - mine.last_read_seq as unread, ${message},
    (select ${pictured('p')} from single_chats o join users p
      on p.id = case o.low_user_id when $2 then o.high_user_id else o.low_user_id end where o.chat_id = c.id) as peer,
    (select json_agg(json_build_object('role', f.role, 'user', f.person)) from (
      select n.role, ${pictured('p')} as person from members n join users p on p.id = n.user_id
      where n.chat_id = c.id order by n.user_id limit 3) f) as members
    from members mine join chats c on c.id = mine.chat_id
    left join messages m on (m.chat_id, m.seq) = (c.id, c.last_seq) left join users s on s.id = m.sender_id
    where mine.user_id = $2 and $1::bigint is null order by c.last_activity_at desc, c.id desc limit 21`,
  viewer: 'select id, username from users where id = $2 and $1::bigint is null',
  node: `select ${message} ${page} where m.id = $1`,
};

const shapes: Record<Subject, (rows: Row[], input: Input) => unknown> = {
  'page of 50': (rows, { id = '' }) => chatOf(id, rows, toMessage),
  'rich page of 50': (rows, { id = '' }) => chatOf(id, rows, toRichMessage),
  'chat list of 20': (rows) => ({ viewer: { chats: { edges: rows.slice(0, 20).map(toChat) } } }),
  viewer: ([row]) => ({ viewer: { user: { id: encodeId('User', row?.['id'] ?? ''), username: row?.['username'] } } }),
  node: ([row]) => ({ node: row && toMessage(row) }),
};

function chatOf(id: string, rows: Row[], toNode: (row: Row) => object): object {
  const edges = rows
    .slice(0, 50)
    .toReversed()
    .map((row) => ({ cursor: encodeCursor(lists.messages, [Number(row['seq'])]), node: toNode(row) }));
  const pageInfo = { hasPreviousPage: rows.length > 50, hasNextPage: false, startCursor: edges[0]?.cursor };
  return { chat: { id: encodeId('Chat', id), messages: { edges, pageInfo } } };
}

function toMessage({ id, seq, content, created_at, sid, username, display_name }: Row) {
  const sender = sid && { id: encodeId('User', sid), username, displayName: display_name };
  return { id: encodeId('Message', id ?? ''), seq, content, createdAt: created_at, sender };
}

type User = { id: string; avatar?: { id: string } | null };

function toUser<Found extends User>(user: Found): Found {
  const avatar = user.avatar && { ...user.avatar, id: encodeId('File', user.avatar.id) };
  return { ...user, id: encodeId('User', user.id), ...(avatar && { avatar }) };
}

/** A reply as the statement returns it. */
type Reply = { id: string; sender: User };
type Json = {
  reactions: object[] | null;
  files: { id: string }[] | null;
  mentions: User[] | null;
  reply: Reply | null;
};

/** What the SQL statement adds to a chat's own columns. */
type Listed = { peer: User | null; members: { role: string; user: User }[] };

function toRichMessage(row: Row): object {
  const { reactions, files, mentions, reply } = row as unknown as Json;
  const { sender, ...rest } = toMessage(row);
  return {
    ...rest,
    editedAt: row['edited_at'],
    sender,
    reactions: reactions ?? [],
    files: (files ?? []).map((file) => ({ ...file, id: encodeId('File', file.id) })),
    replyTo: reply && { ...reply, id: encodeId('Message', reply.id), sender: toUser(reply.sender) },
    mentions: (mentions ?? []).map((user) => ({ isEveryone: false, user: toUser(user) })),
  };
}

function toChat(row: Row): object {
  const { peer, members } = row as unknown as Listed;
  const node = {
    id: encodeId('Chat', row['cid'] ?? ''),
    type: row['type'],
    name: row['name'],
    lastSeq: row['last_seq'],
    lastActivityAt: row['last_activity_at'],
    memberCount: row['member_count'],
    lastMessage: toMessage(row),
    peer: peer && toUser(peer),
    viewerMembership: { lastReadSeq: row['last_read_seq'], unreadCount: row['unread'] },
    members: { edges: members.map(({ role, user }) => ({ node: { role, user: toUser(user) } })) },
  };
  const key = [new Date(row['last_activity_at'] ?? 0).getTime(), BigInt(row['cid'] ?? 0)] as const;
  return { cursor: encodeCursor(lists.chats, key), node };
}

async function answer(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  const input = JSON.parse(Buffer.concat(chunks).toString()) as Input & { subject: Subject };
  const { subject, id = null, userId } = input;
  const { rows } = await pool.query<Row>({ name: subject, text: statements[subject], values: [id, userId] });
  return JSON.stringify({ data: shapes[subject](rows, input) });
}

const server = createServer((request, response) => {
  void answer(request).then((text) => {
    const headers = { 'content-type': 'application/json; charset=utf-8', 'content-length': Buffer.byteLength(text) };
    response.writeHead(200, headers).end(text);
  });
});
server.listen(0, '127.0.0.1', () => {
  const address = server.address();
  if (address !== null && typeof address === 'object') process.stdout.write(`http://127.0.0.1:${address.port}\n`);
});
process.on('SIGTERM', () => process.exit(0));
