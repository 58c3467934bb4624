import { isRecord } from '../core/json.ts';
import { openExport, type ExportSource } from './export-source.ts';
import { toContents, toDescription, toName, toTime, toUsername, toKey, writeLine } from './line-writer.ts';
import { toPlainText, type SlackNames } from './slack-text.ts';

type Json = Record<string, unknown>;

/** The files in which an export lists its conversations, and the chat types that the conversations become. */
const lists = [
  { file: 'channels.json', type: 'PUBLIC_CHANNEL' },
  { file: 'groups.json', type: 'PRIVATE_CHANNEL' },
  { file: 'mpims.json', type: 'GROUP' },
  { file: 'dms.json', type: 'SINGLE' },
] as const;

/** Messages written by Slack itself, not by a person or a bot. */
const systemSubtypes =
  /^(channel|group)_(join|leave|topic|purpose|name|archive|unarchive|convert_to_private|convert_to_public|posting_permissions)$|^(pinned|unpinned)_item$|^bot_(add|remove|enable|disable)$|^(reminder_add|tombstone|sh_room_created|huddle_thread)$/;

/**
 * Converts a Slack export (a folder or a zip file) to the lines of an import. Files are only mentioned by name, because
 * an import cannot contain files. Reactions and messages written by Slack itself are left out.
 */
export async function* convertSlack(path: string): AsyncGenerator<string> {
  await using source = await openExport(path, /(^|\/)(org_)?users\.json$/);
  const people = new SlackPeople();
  const users = [...(await readList(source, 'users.json')), ...(await readList(source, 'org_users.json'))];
  for (const user of users) yield* people.introduce(textOf(user['id']), user);
  const conversations = (
    await Promise.all(
      lists.map(async ({ file, type }) => (await readList(source, file)).map((each) => ({ conversation: each, type }))),
    )
  ).flat();
  for (const { conversation } of conversations) people.nameChannel(conversation);
  for (const { conversation, type } of conversations)
    yield* convertConversation(source, people, { conversation, type });
}

type Conversation = { conversation: Json; type: (typeof lists)[number]['type'] };

async function* convertConversation(
  source: ExportSource,
  people: SlackPeople,
  { conversation, type }: Conversation,
): AsyncGenerator<string> {
  const id = textOf(conversation['id']);
  const chat = toKey('slack:', id);
  const isChannel = type === 'PUBLIC_CHANNEL' || type === 'PRIVATE_CHANNEL';
  yield writeLine('chat', {
    key: chat,
    type,
    ...(isChannel && {
      name: toName(conversation['name']) ?? id,
      description: toDescription(valueOf(conversation['purpose'])) ?? toDescription(valueOf(conversation['topic'])),
    }),
    createdAt: toTime(Number(conversation['created']) * 1_000),
  });
  for (const member of new Set(arrayOf(conversation['members']).map(textOf))) {
    yield* people.introduce(member, {});
    const isCreator = isChannel && member === conversation['creator'];
    yield writeLine('member', { chat, user: toKey('slack:', member), ...(isCreator && { role: 'OWNER' }) });
  }
  // The folder of a channel has the channel's name, and the folder of a direct conversation has the conversation's id.
  const folders = [conversation['name'], conversation['id']].map(textOf).filter((name) => name !== '');
  const days = source.paths
    .filter((path) => folders.some((folder) => path.startsWith(`${folder}/`)) && /\/\d{4}-\d\d-\d\d\.json$/.test(path))
    .toSorted((one, other) => dayOf(one).localeCompare(dayOf(other)));
  for (const day of days) {
    const messages = (await readList(source, day)).toSorted((one, other) => Number(one['ts']) - Number(other['ts']));
    for (const message of messages) yield* convertMessage(people, chat, message);
  }
  yield writeLine('end', { chat });
}

function dayOf(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1);
}

function* convertMessage(people: SlackPeople, chat: string, message: Json): Generator<string> {
  const ts = textOf(message['ts']);
  const at = toTime(Number(ts) * 1_000);
  if (message['type'] !== 'message' || at === undefined || systemSubtypes.test(textOf(message['subtype']))) return;
  const contents = toContents(readContent(message, people));
  const author = people.authorOf(message);
  if (contents.length === 0 || author === null) return;
  yield* people.introduce(author.id, author.profile);
  const editedAt = isRecord(message['edited']) ? toTime(Number(message['edited']['ts']) * 1_000) : undefined;
  const thread = textOf(message['thread_ts']);
  for (const [index, content] of contents.entries()) {
    yield writeLine('message', {
      chat,
      key: index === 0 ? ts : `${ts}/${index + 1}`,
      sender: toKey('slack:', author.id),
      content,
      at,
      ...(editedAt !== undefined && editedAt >= at && { editedAt }),
      ...(thread !== '' && thread !== ts && people.has(chat, thread) && { replyTo: thread }),
    });
  }
  people.remember(chat, ts, textOf(message['thread_ts']) === ts);
}

/** Returns the text (or the text of the attachments if there is none), followed by the names of the files. */
function readContent(message: Json, names: SlackNames): string {
  const attached = arrayOf(message['attachments'])
    .filter(isRecord)
    .map((each) => [each['title'], each['text'] ?? each['fallback']].map(textOf).filter(Boolean).join('\n'));
  const files = arrayOf(message['files'])
    .filter(isRecord)
    .map(({ name, title }) => `[file: ${textOf(name) || textOf(title) || 'without a name'}]`);
  const text = textOf(message['text']);
  return [text === '' ? attached.join('\n') : text]
    .map((each) => toPlainText(each, names))
    .concat(files)
    .filter((each) => each !== '')
    .join('\n');
}

/** The people that the lines so far have introduced, the names of the channels, and the threads. */
class SlackPeople implements SlackNames {
  readonly #usernames = new Map<string, string>();
  readonly #channels = new Map<string, string>();
  /** The messages that started a thread. */
  readonly #threads = new Set<string>();

  /** Writes the line for a user, unless it has already been written. */
  *introduce(id: string, { profile, ...user }: Json): Generator<string> {
    if (id === '' || this.#usernames.has(id)) return;
    const details = isRecord(profile) ? profile : {};
    const isBot = user['is_bot'] === true || user['is_workflow_bot'] === true;
    const displayName = [details['display_name'], details['real_name'], user['real_name'], user['name']].map(toName);
    const username = toUsername(user['name']) ?? toUsername(details['display_name']) ?? toUsername(id) ?? 'user';
    this.#usernames.set(id, username);
    const email = textOf(details['email']);
    yield writeLine('user', {
      key: toKey('slack:', id),
      username,
      displayName: displayName.find((name) => name !== undefined),
      ...(isBot ? { kind: 'BOT' } : /^[^@\s]+@[^@\s]+$/.test(email) && { email }),
    });
  }

  nameChannel({ id, name }: Json): void {
    this.#channels.set(textOf(id), textOf(name));
  }

  usernameOf(id: string): string | undefined {
    return this.#usernames.get(id);
  }

  channelNameOf(id: string): string | undefined {
    return this.#channels.get(id);
  }

  /** Returns the author of a message: a user, or a bot without a user. */
  authorOf(message: Json): { id: string; profile: Json } | null {
    const user = textOf(message['user']);
    if (user !== '') {
      const profile = isRecord(message['user_profile']) ? message['user_profile'] : {};
      return { id: user, profile: { name: profile['name'], profile } };
    }
    const bot = isRecord(message['bot_profile']) ? message['bot_profile'] : {};
    const name = [message['username'], bot['name']].map(textOf).find(Boolean);
    const id = textOf(message['bot_id']) || (name === undefined ? '' : `bot-${name}`);
    return id === '' ? null : { id, profile: { name: name ?? 'bot', real_name: name ?? 'bot', is_bot: true } };
  }

  /** Remembers a message to which others may reply. */
  remember(chat: string, ts: string, beginsThread: boolean): void {
    if (beginsThread) this.#threads.add(`${chat} ${ts}`);
  }

  has(chat: string, ts: string): boolean {
    return this.#threads.has(`${chat} ${ts}`);
  }
}

async function readList(source: ExportSource, path: string): Promise<Json[]> {
  return arrayOf(await source.readJson(path)).filter(isRecord);
}

function arrayOf(value: unknown): unknown[] {
  return Array.isArray(value) ? value : [];
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

function valueOf(value: unknown): unknown {
  return isRecord(value) ? value['value'] : undefined;
}
