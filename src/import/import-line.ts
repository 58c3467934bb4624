import { z } from 'zod';
import { readEmail } from '../account/email.ts';
import { checkNewUsername } from '../account/username.ts';
import { readCustom } from '../core/custom.ts';
import { readExternalKey } from '../core/external-key.ts';
import { parseJson } from '../core/json.ts';
import { maxContentLength, maxDescriptionLength, maxNameLength, readName, readText } from '../core/text.ts';
import type { FieldError } from '../errors.ts';

/** How far in the future a time may be, in ms, because clocks differ. */
const maxAheadMs = 60_000;

const custom = z.record(z.string(), z.unknown()).default({});
const time = z.iso.datetime({ offset: true }).transform((text) => new Date(text));

const shapes = {
  user: z.strictObject({
    key: z.string(),
    username: z.string().nullish(),
    displayName: z.string().nullish(),
    email: z.string().nullish(),
    kind: z.enum(['HUMAN', 'BOT']).default('HUMAN'),
    custom,
    createdAt: time.nullish(),
  }),
  chat: z.strictObject({
    key: z.string(),
    type: z.enum(['SINGLE', 'GROUP', 'PRIVATE_CHANNEL', 'PUBLIC_CHANNEL']),
    name: z.string().nullish(),
    description: z.string().nullish(),
    custom,
    createdAt: time.nullish(),
  }),
  member: z.strictObject({
    chat: z.string(),
    user: z.string(),
    role: z.enum(['OWNER', 'ADMIN', 'MEMBER']).default('MEMBER'),
    joinedAt: time.nullish(),
  }),
  message: z.strictObject({
    chat: z.string(),
    key: z.string(),
    sender: z.string(),
    content: z.string(),
    at: time,
    editedAt: time.nullish(),
    replyTo: z.string().nullish(),
    custom,
  }),
  end: z.strictObject({ chat: z.string(), force: z.boolean().default(false) }),
  discard: z.strictObject({ chat: z.string() }),
};

/** The properties of each kind of line, after parsing. */
export type Said = { [Each in keyof typeof shapes]: z.output<(typeof shapes)[Each]> };
/** The kinds of line. */
export type Kind = keyof Said;

/** A line that follows the format, with its kind. */
export type ImportLine<Each extends Kind = Kind> = { [Is in Each]: { kind: Is; said: Said[Is] } }[Each];

/** A parsed line, or the reasons why it was refused: `chat` is the key of the line's chat, if the key can be read. */
export type ParsedLine = ImportLine | { kind: null; errors: FieldError[]; chat: string | null };

const kinds = Object.keys(shapes) as Kind[];

/**
 * Parses one line, which is an object with one property, named after the kind of line. Checks everything except whether
 * the keys in the line refer to something that exists.
 */
export function parseLine(text: string): ParsedLine {
  const json = parseJson(text);
  if (json === undefined) return refuse([{ path: [], code: 'MALFORMED', message: 'is not JSON' }]);
  const shape = z.record(z.string(), z.unknown()).safeParse(json);
  const [name, ...more] = shape.success ? Object.keys(shape.data) : [];
  const kind = kinds.find((each) => each === name);
  if (!shape.success || kind === undefined || more.length > 0) {
    const message = `must be an object with one property: ${kinds.join(', ')}`;
    return refuse([{ path: [], code: 'MALFORMED', message }]);
  }
  const value = shape.data[kind];
  const parsed = shapes[kind].safeParse(value);
  if (!parsed.success)
    return refuse(
      parsed.error.issues.map((issue) => describe(kind, issue)),
      chatOf(kind, value),
    );
  const line = { kind, said: parsed.data } as ImportLine;
  const errors: FieldError[] = [];
  const checked = check(line, errors);
  return errors.length === 0 ? checked : refuse(errors, chatOf(kind, value));
}

/** Returns the key of the chat that a line belongs to; null for a user. */
export function chatKeyOf({ kind, said }: ImportLine): string | null {
  if (kind === 'user') return null;
  return kind === 'chat' ? said.key : said.chat;
}

function chatOf(kind: Kind, value: unknown): string | null {
  const key: unknown =
    typeof value === 'object' && value !== null ? Reflect.get(value, kind === 'chat' ? 'key' : 'chat') : null;
  return kind !== 'user' && typeof key === 'string' ? key : null;
}

function refuse(errors: FieldError[], chat: string | null = null): ParsedLine {
  return { kind: null, errors, chat };
}

function describe(kind: Kind, { path, code, message }: z.core.$ZodIssue): FieldError {
  // Zod's messages may quote a property name of any length.
  const text = code === 'unrecognized_keys' ? 'has a property that the format does not have' : message;
  return { path: [kind, ...path.map(String)], code: 'MALFORMED', message: text };
}

/** Returns the line with its strings normalized. */
function check(line: ImportLine, errors: FieldError[]): ImportLine {
  switch (line.kind) {
    case 'user':
      return { kind: line.kind, said: checkUser(line.said, errors) };
    case 'chat':
      return { kind: line.kind, said: checkChat(line.said, errors) };
    case 'member':
      for (const name of ['chat', 'user'] as const) readExternalKey(line.said[name], ['member', name], errors);
      checkTime(line.said.joinedAt, ['member', 'joinedAt'], errors);
      return line;
    case 'message':
      return { kind: line.kind, said: checkMessage(line.said, errors) };
    case 'end':
    case 'discard':
      readExternalKey(line.said.chat, [line.kind, 'chat'], errors);
      return line;
    default:
      return line satisfies never;
  }
}

function checkUser(said: Said['user'], errors: FieldError[]): Said['user'] {
  const found: FieldError[] = [];
  readExternalKey(said.key, ['key'], found);
  if (said.username != null) checkNewUsername(said.username, found);
  const displayName =
    said.displayName == null ? null : readName(said.displayName, ['displayName'], maxNameLength, found);
  const email = said.email == null ? null : readEmail(said.email, found);
  if (email !== null && said.kind === 'BOT') {
    found.push({ path: ['email'], code: 'NOT_ALLOWED', message: 'a bot has no email address' });
  }
  readCustom(said.custom, ['custom'], found);
  checkTime(said.createdAt, ['createdAt'], found);
  for (const { path, ...problem } of found) errors.push({ path: ['user', ...path], ...problem });
  return { ...said, displayName, email };
}

function checkChat(said: Said['chat'], errors: FieldError[]): Said['chat'] {
  readExternalKey(said.key, ['chat', 'key'], errors);
  const name = said.name == null ? null : readName(said.name, ['chat', 'name'], maxNameLength, errors);
  const description =
    said.description == null ? null : readText(said.description, ['chat', 'description'], maxDescriptionLength, errors);
  if (said.type === 'SINGLE' && (name !== null || description !== null)) {
    errors.push({ path: ['chat', 'name'], code: 'NOT_ALLOWED', message: 'a single chat has no name or description' });
  }
  if ((said.type === 'PRIVATE_CHANNEL' || said.type === 'PUBLIC_CHANNEL') && name === null) {
    errors.push({ path: ['chat', 'name'], code: 'REQUIRED', message: 'a channel must have a name' });
  }
  readCustom(said.custom, ['chat', 'custom'], errors);
  checkTime(said.createdAt, ['chat', 'createdAt'], errors);
  return { ...said, name, description };
}

function checkMessage(said: Said['message'], errors: FieldError[]): Said['message'] {
  for (const name of ['chat', 'key', 'sender'] as const) readExternalKey(said[name], ['message', name], errors);
  if (said.replyTo != null) readExternalKey(said.replyTo, ['message', 'replyTo'], errors);
  const content = readText(said.content, ['message', 'content'], maxContentLength, errors);
  readCustom(said.custom, ['message', 'custom'], errors);
  checkTime(said.at, ['message', 'at'], errors);
  checkTime(said.editedAt, ['message', 'editedAt'], errors);
  if (said.editedAt != null && said.editedAt < said.at) {
    errors.push({ path: ['message', 'editedAt'], code: 'NOT_ALLOWED', message: 'must not be before `at`' });
  }
  return { ...said, content };
}

function checkTime(at: Date | null | undefined, path: string[], errors: FieldError[]): void {
  if (at == null) return;
  if (at.getTime() > Date.now() + maxAheadMs) {
    errors.push({ path, code: 'NOT_ALLOWED', message: 'must not be in the future' });
  } else if (at.getTime() < 0) errors.push({ path, code: 'NOT_ALLOWED', message: 'must not be before 1970' });
}
