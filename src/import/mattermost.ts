import { open, type FileHandle } from 'node:fs/promises';
import { isRecord, parseJson } from '../core/json.ts';
import { hash, toContents, toDescription, toKey, toName, toTime, toUsername, writeLine } from './line-writer.ts';

type Json = Record<string, unknown>;

/** The position of a post in the file. */
type Place = { at: number; offset: number; length: number };

/**
 * Converts a file in Mattermost's bulk export format to the lines of an import. The format does not sort posts by time,
 * so the file is read twice: first to find the posts of each channel (which takes about 30 bytes of memory per post),
 * and then channel by channel. Files are mentioned by name only; reactions, emoji and messages written by Mattermost
 * itself are left out.
 */
export async function* convertMattermost(path: string): AsyncGenerator<string> {
  await using file = await open(path);
  const posts = new Map<string, Place[]>();
  const people = new Set<string>();
  for await (const { json, offset, length } of readJsonLines(file)) {
    const type = textOf(json['type']);
    const said = isRecord(json[type]) ? json[type] : {};
    if (type === 'channel') yield* convertChannel(said);
    else if (type === 'direct_channel') yield* convertDirectChannel(said, people);
    else if (type === 'user' || type === 'bot') yield* convertUser(said, people, type === 'bot');
    else if (type === 'post' || type === 'direct_post') {
      const chat = type === 'post' ? channelKey(said) : directKey(membersOf(said));
      // This channel is not listed; only its posts mention it.
      if (!posts.has(chat) && type === 'direct_post') yield* convertDirectChannel(said, people);
      if (!posts.has(chat)) posts.set(chat, []);
      posts.get(chat)?.push({ at: Number(said['create_at']), offset, length });
      yield* convertAuthors(said, people);
    }
    if (type === 'channel') posts.set(channelKey({ ...said, channel: said['name'] }), []);
    if (type === 'direct_channel' && !posts.has(directKey(membersOf(said)))) posts.set(directKey(membersOf(said)), []);
  }
  for (const [chat, places] of posts) {
    yield* convertPosts(file, chat, places);
    yield writeLine('end', { chat });
  }
}

function channelKey({ team, channel }: Json): string {
  return toKey('mattermost:', `${textOf(team)}/${textOf(channel)}`);
}

/** Returns the key of a direct channel, which has no name but only members. */
function directKey(members: readonly string[]): string {
  return `mattermost:direct-${hash(members.toSorted().join('\n'))}`;
}

function membersOf({ members, channel_members: channelMembers, participants }: Json): string[] {
  const listed = [members, channelMembers].find(Array.isArray) ?? arrayOf(participants);
  const names = listed.map((each) => textOf(isRecord(each) ? each['username'] : each));
  return [...new Set(names)].filter((name) => name !== '');
}

function userKey(username: string): string {
  return toKey('mattermost:', username);
}

function* convertChannel(said: Json): Generator<string> {
  yield writeLine('chat', {
    key: channelKey({ ...said, channel: said['name'] }),
    type: said['type'] === 'P' ? 'PRIVATE_CHANNEL' : 'PUBLIC_CHANNEL',
    name: toName(said['display_name']) ?? toName(said['name']) ?? 'channel',
    description: toDescription(said['purpose']) ?? toDescription(said['header']),
  });
}

function* convertDirectChannel(said: Json, people: Set<string>): Generator<string> {
  const members = membersOf(said);
  if (members.length === 0) return;
  const chat = directKey(members);
  yield writeLine('chat', { key: chat, type: members.length <= 2 ? 'SINGLE' : 'GROUP' });
  for (const member of members) {
    yield* introduce({ username: member }, people);
    yield writeLine('member', { chat, user: userKey(member) });
  }
}

function* convertUser(said: Json, people: Set<string>, isBot: boolean): Generator<string> {
  yield* introduce(said, people, isBot);
  const user = userKey(textOf(said['username']));
  for (const team of arrayOf(said['teams']).filter(isRecord)) {
    for (const channel of arrayOf(team['channels']).filter(isRecord)) {
      const isAdmin = /\bchannel_admin\b/.test(textOf(channel['roles'])) || channel['scheme_admin'] === true;
      const chat = channelKey({ team: team['name'], channel: channel['name'] });
      yield writeLine('member', { chat, user, ...(isAdmin && { role: 'OWNER' }) });
    }
  }
}

/** Bots and users of other servers may be the authors of posts without being listed. */
function* convertAuthors(post: Json, people: Set<string>): Generator<string> {
  for (const each of [post, ...arrayOf(post['replies']).filter(isRecord)]) {
    yield* introduce({ username: each['user'] }, people);
  }
}

function* introduce(said: Json, people: Set<string>, isBot = false): Generator<string> {
  const name = textOf(said['username']);
  if (name === '' || people.has(name)) return;
  people.add(name);
  const fullName = [said['first_name'], said['last_name']].map(textOf).filter(Boolean).join(' ');
  const email = textOf(said['email']);
  yield writeLine('user', {
    key: userKey(name),
    username: toUsername(name),
    displayName: toName(said['nickname']) ?? toName(fullName) ?? toName(said['display_name']),
    ...(isBot ? { kind: 'BOT' } : /^[^@\s]+@[^@\s]+$/.test(email) && { email }),
  });
}

async function* convertPosts(file: FileHandle, chat: string, places: Place[]): AsyncGenerator<string> {
  // Replies are nested in their posts, and may be later than the posts that come next.
  const waiting: Post[] = [];
  for (const place of places.toSorted((one, other) => one.at - other.at)) {
    for (const due of takeUntil(waiting, place.at)) yield* convertPost(chat, due);
    const json = await readAt(file, place);
    const post = isRecord(json['post']) ? json['post'] : json['direct_post'];
    if (!isRecord(post)) continue;
    const lines = [...convertPost(chat, { post, replyTo: null })];
    yield* lines;
    const replyTo = lines.length > 0 ? keyOf(post) : null;
    for (const reply of arrayOf(post['replies']).filter(isRecord)) waiting.push({ post: reply, replyTo });
  }
  for (const due of takeUntil(waiting, Infinity)) yield* convertPost(chat, due);
}

type Post = { post: Json; replyTo: string | null };

/** Removes the posts that were written up to `at`, and returns them in order. */
function takeUntil(waiting: Post[], at: number): Post[] {
  const due = waiting.filter(({ post }) => Number(post['create_at']) <= at);
  if (due.length === 0) return [];
  waiting.splice(0, waiting.length, ...waiting.filter(({ post }) => Number(post['create_at']) > at));
  return due.toSorted((one, other) => Number(one.post['create_at']) - Number(other.post['create_at']));
}

/** Posts have no id, so posts with the same author, time and text count as the same post. */
function keyOf(post: Json): string {
  return `${Number(post['create_at'])}-${hash(`${textOf(post['user'])}\n${textOf(post['message'])}`)}`;
}

function* convertPost(chat: string, { post, replyTo }: Post): Generator<string> {
  const at = toTime(Number(post['create_at']));
  const user = textOf(post['user']);
  if (at === undefined || user === '' || textOf(post['type']).startsWith('system_')) return;
  const files = arrayOf(post['attachments'])
    .filter(isRecord)
    .map((each) => `[file: ${textOf(each['path']).split('/').at(-1) || 'without a name'}]`);
  const contents = toContents([textOf(post['message']), ...files].filter(Boolean).join('\n'));
  const editedAt = toTime(Number(post['edit_at']));
  for (const [index, content] of contents.entries()) {
    yield writeLine('message', {
      chat,
      key: index === 0 ? keyOf(post) : `${keyOf(post)}/${index + 1}`,
      sender: userKey(user),
      content,
      at,
      ...(editedAt !== undefined && editedAt >= at && { editedAt }),
      ...(replyTo !== null && { replyTo }),
    });
  }
}

type JsonLine = { json: Json; offset: number; length: number };

/** Reads the JSON objects, one per line, and their positions. Throws for any other line that is not blank. */
async function* readJsonLines(file: FileHandle): AsyncGenerator<JsonLine> {
  let pieces: Buffer[] = [];
  let offset = 0;
  let number = 0;
  const close = (): JsonLine | null => {
    const bytes = Buffer.concat(pieces);
    pieces = [];
    number += 1;
    const text = bytes.toString('utf8');
    if (text.trim() === '') return null;
    const json = parseJson(text);
    if (!isRecord(json)) throw new Error(`Line ${number} is not a JSON object.`);
    return { json, offset, length: bytes.length };
  };
  for await (const chunk of file.createReadStream({ autoClose: false }) as AsyncIterable<Buffer>) {
    let start = 0;
    for (let end = chunk.indexOf(0x0a); end !== -1; end = chunk.indexOf(0x0a, start)) {
      pieces.push(chunk.subarray(start, end));
      start = end + 1;
      const size = pieces.reduce((sum, piece) => sum + piece.length, 0);
      const line = close();
      if (line !== null) yield line;
      offset += size + 1;
    }
    pieces.push(chunk.subarray(start));
  }
  const last = close();
  if (last !== null) yield last;
}

async function readAt(file: FileHandle, { offset, length }: Place): Promise<Json> {
  const bytes = Buffer.alloc(length);
  await file.read(bytes, 0, length, offset);
  const json = parseJson(bytes.toString('utf8'));
  return isRecord(json) ? json : {};
}

function arrayOf(value: unknown): unknown[] {
  return Array.isArray(value) ? value : [];
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : '';
}
