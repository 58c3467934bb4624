import { createHash } from 'node:crypto';
import { fitUsername } from '../account/username.ts';
import { maxContentLength, maxDescriptionLength, maxNameLength } from '../core/text.ts';
import type { Kind } from './import-line.ts';

/** The properties that a converter writes for each kind of line, before the defaults of the format are applied. */
export type Saying = { [Each in Kind]: Record<string, unknown> };

/** Formats one line of an import. */
export function writeLine<Each extends Kind>(kind: Each, said: Saying[Each]): string {
  return `${JSON.stringify({ [kind]: said })}\n`;
}

/**
 * Returns the text as one line without control characters, cut off at the maximum length of a name; undefined if
 * nothing is left.
 */
export function toName(value: unknown): string | undefined {
  if (typeof value !== 'string') return undefined;
  const line = value
    .toWellFormed()
    .replace(/[\s\u0000-\u001f\u007f-\u009f]+/g, ' ')
    .trim();
  return [...line].slice(0, maxNameLength).join('').trim() || undefined;
}

/**
 * Returns the text without control characters other than newline and tab, cut off at the maximum length of a
 * description; undefined if nothing is left.
 */
export function toDescription(value: unknown): string | undefined {
  return typeof value === 'string' ? cut(clean(value), maxDescriptionLength)[0] : undefined;
}

/** Splits a text into the contents of messages: usually one, but more if the text is longer than a message may be. */
export function toContents(text: string): string[] {
  return cut(clean(text), maxContentLength);
}

/** Derives a username from a username in another system; returns undefined if nothing usable is left. */
export function toUsername(value: unknown): string | undefined {
  return typeof value === 'string' ? (fitUsername(value) ?? undefined) : undefined;
}

/** Converts milliseconds since 1970 to a time in the import format; returns undefined if the value is not a time. */
export function toTime(ms: unknown): string | undefined {
  return typeof ms === 'number' && ms > 0 && ms < 8.64e15 ? new Date(ms).toISOString() : undefined;
}

/** Makes a key from a prefix and any text: uses the text itself if a key may contain it, otherwise its hash. */
export function toKey(prefix: string, text: string): string {
  const key = `${prefix}${text}`;
  return /^[!-~]{1,200}$/.test(key) ? key : `${prefix}${hash(text)}`;
}

/** Returns a short hash, which identifies things that have no id. */
export function hash(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 32);
}

function clean(text: string): string {
  return text
    .toWellFormed()
    .replace(/\r\n?/g, '\n')
    .replace(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f]+/g, ' ')
    .trim();
}

/** Cuts a text into pieces, at the end of a line if there is one in the second half of a piece. */
function cut(text: string, maxLength: number): string[] {
  const pieces: string[] = [];
  let rest = [...text];
  while (rest.length > maxLength) {
    const lineEnd = rest.lastIndexOf('\n', maxLength);
    const end = lineEnd > maxLength / 2 ? lineEnd : maxLength;
    pieces.push(rest.slice(0, end).join('').trim());
    rest = rest.slice(end);
  }
  pieces.push(rest.join('').trim());
  return pieces.filter((piece) => piece !== '');
}
