import type { FieldError } from '../errors.ts';

/** Lengths are counted in Unicode code points, as PostgreSQL's char_length does. */
export const maxNameLength = 64;
/** In code points. */
export const maxDescriptionLength = 1_000;
/** In code points. */
export const maxContentLength = 10_000;

const controls = /[\u0000-\u001f\u007f-\u009f]/;
const controlsButNewlineAndTab = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/;
/** Line breaks that are not control characters. */
const lineBreaks = /[\u2028\u2029]/;
/** Characters that change the direction of text, including the text that follows a name. */
const bidiControls = /\p{Bidi_Control}/u;
/**
 * Characters that are visible on their own. The set excludes blank characters (such as a Braille pattern without dots,
 * or a null note head), characters that Unicode calls ignorable (fillers, joiners, selectors), and marks, which need a
 * letter. The checks in the database list the same characters as ranges: `npm run text-rule` prints these ranges.
 */
const visible = /[^\p{White_Space}\p{Default_Ignorable_Code_Point}\p{M}\p{Cc}\u2800\ufff9-\ufffb\u{1d159}]/u;

/** Whether a text has any visible characters. */
export function isVisible(text: string): boolean {
  return visible.test(text);
}

/** Reads one line: trims it and refuses control characters. The database's `is_line` applies the same rule. */
export function readLine(value: string, path: string[], maxLength: number, errors: FieldError[]): string {
  return read(value.trim(), { path, maxLength, refused: controls }, errors);
}

/**
 * Reads the name of a user or a chat: a line that is normalized to NFC, has at least one visible character, and does
 * not change the direction of text. The database's `is_name` applies the same rule.
 */
export function readName(value: string, path: string[], maxLength: number, errors: FieldError[]): string {
  const before = errors.length;
  const name = readLine(normalizeShort(value, maxLength), path, maxLength, errors);
  if (errors.length > before) return name;
  if (!isVisible(name)) errors.push({ path, ...displaysNothing });
  else if (lineBreaks.test(name)) errors.push({ path, code: 'MALFORMED', message: 'must be one line' });
  else if (bidiControls.test(name))
    errors.push({ path, code: 'MALFORMED', message: 'must not contain direction marks' });
  return name;
}

/**
 * Reads multi-line text that has at least one visible character. Normalizes line ends to newlines, and refuses control
 * characters other than tab and newline. The database's `is_text` applies the same rule.
 */
export function readText(value: string, path: string[], maxLength: number, errors: FieldError[]): string {
  const before = errors.length;
  const text = value.replace(/\r\n?/g, '\n').trim();
  read(text, { path, maxLength, refused: controlsButNewlineAndTab }, errors);
  if (errors.length === before && !isVisible(text)) errors.push({ path, ...displaysNothing });
  return text;
}

const displaysNothing = { code: 'REQUIRED', message: 'must contain something that is visible' } as const;

/**
 * NFC never shortens a text to less than a third of its length, so a text that is far too long is returned unchanged,
 * and the caller refuses it.
 */
function normalizeShort(value: string, maxLength: number): string {
  return value.length > maxLength * 8 ? value : value.normalize('NFC');
}

type Rule = { path: string[]; maxLength: number; refused: RegExp };

function read(text: string, { path, maxLength, refused }: Rule, errors: FieldError[]): string {
  const problem = problemWith(text, maxLength, refused);
  if (problem !== null) errors.push({ path, ...problem });
  return text;
}

function problemWith(text: string, maxLength: number, refused: RegExp): Omit<FieldError, 'path'> | null {
  if (text === '') return { code: 'REQUIRED', message: 'must not be empty' };
  // A string of n UTF-16 units has at least n / 2 code points, so there is no need to spread a huge string just to
  // count them.
  if (text.length > maxLength * 2 || [...text].length > maxLength) {
    return { code: 'TOO_LONG', message: `must be at most ${maxLength} characters long` };
  }
  if (!text.isWellFormed()) return { code: 'MALFORMED', message: 'must be well-formed Unicode' };
  if (refused.test(text)) return { code: 'MALFORMED', message: 'must not contain control characters' };
  return null;
}
