import { isRecord } from '../core/json.ts';
import { maxContentLength, maxNameLength } from '../core/text.ts';
import { listOf, readBlocks, readMrkdwn, stringOf } from './slack-text.ts';

/**
 * The service whose format a payload uses, which also determines the format of the response. A payload with only
 * `content` counts as Discord's.
 */
export type Dialect = 'DISCORD' | 'SLACK';

/**
 * The contents of a payload: the text of the message, and the name that the sender gives itself (null if it gives no
 * name).
 */
export type HookMessage = { content: string; username: string | null };

/**
 * Returns the dialect of a payload. A Slack payload has `text`, `attachments` or `blocks`, and neither `content` nor
 * `embeds`.
 */
export function dialectOf(payload: unknown): Dialect {
  if (!isRecord(payload) || 'content' in payload || 'embeds' in payload) return 'DISCORD';
  return 'text' in payload || 'attachments' in payload || 'blocks' in payload ? 'SLACK' : 'DISCORD';
}

/**
 * Reads the payload of a Discord or Slack incoming webhook. A text that the sender wrote as a whole is not shortened,
 * but a text assembled from embeds, attachments and blocks is cut to the maximum length of a message.
 */
export function readHookPayload(payload: Record<string, unknown>, dialect: Dialect): HookMessage {
  const [text, parts] = dialect === 'SLACK' ? readSlack(payload) : readDiscord(payload);
  const whole = [text, ...parts].filter((part) => part.trim() !== '').join('\n');
  return {
    content: parts.length > 0 && [...text].length <= maxContentLength ? cut(whole, maxContentLength) : whole,
    username: readLabel(payload['username']),
  };
}

/** https://docs.discord.com/developers/resources/webhook#execute-webhook */
function readDiscord(payload: Record<string, unknown>): [string, string[]] {
  return [stringOf(payload['content']), listOf(payload['embeds']).slice(0, 10).flatMap(readEmbed)];
}

function readEmbed(embed: Record<string, unknown>): string[] {
  const nameOf = (value: unknown) => (isRecord(value) ? stringOf(value['name']) : '');
  return [
    nameOf(embed['author']),
    titleOf(stringOf(embed['title']), stringOf(embed['url'])),
    stringOf(embed['description']),
    ...listOf(embed['fields']).map(({ name, value }) => fieldOf(stringOf(name), stringOf(value))),
    isRecord(embed['footer']) ? stringOf(embed['footer']['text']) : '',
  ];
}

/** https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks */
function readSlack(payload: Record<string, unknown>): [string, string[]] {
  const blocks = readBlocks(payload['blocks']);
  // If a message has blocks, Slack shows its text only in notifications.
  const text = blocks.length > 0 ? '' : readMrkdwn(stringOf(payload['text']));
  return [text, [...blocks, ...listOf(payload['attachments']).slice(0, 20).flatMap(readAttachment)]];
}

function readAttachment(attachment: Record<string, unknown>): string[] {
  const mrkdwn = (name: string) => readMrkdwn(stringOf(attachment[name]));
  const parts = [
    mrkdwn('pretext'),
    stringOf(attachment['author_name']),
    titleOf(mrkdwn('title'), stringOf(attachment['title_link'])),
    mrkdwn('text'),
    ...readBlocks(attachment['blocks']),
    ...listOf(attachment['fields']).map(({ title, value }) =>
      fieldOf(readMrkdwn(stringOf(title)), readMrkdwn(stringOf(value))),
    ),
    mrkdwn('footer'),
  ];
  return parts.some((part) => part !== '') ? parts : [mrkdwn('fallback')];
}

function titleOf(title: string, url: string): string {
  if (title === '') return url;
  return url === '' ? `**${title}**` : `[${title}](${url})`;
}

function fieldOf(name: string, value: string): string {
  return name === '' ? value : `**${name}:** ${value}`;
}

/** Returns the name on one line, cut to the maximum length of names, or null if there is no name. */
function readLabel(username: unknown): string | null {
  const line = stringOf(username)
    .toWellFormed()
    .replace(/[\s\p{Cc}]+/gu, ' ')
    .trim();
  return line === '' ? null : cut(line, maxNameLength);
}

function cut(text: string, maxLength: number): string {
  const characters = [...text];
  return characters.length <= maxLength ? text : `${characters.slice(0, maxLength - 1).join('')}…`;
}
