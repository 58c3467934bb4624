import type { FieldError } from '../errors.ts';

/** Lengths are counted in Unicode code points, as PostgreSQL's char_length does. */
export const maxNameLength = 64;
export const maxDescriptionLength = 1_000;
export const maxContentLength = 10_000;

const controls = /[\u0000-\u001f\u007f-\u009f]/;
const controlsButNewlineAndTab = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/;

/** Reads one line: trims it and refuses control characters. Twin of `is_line` in the database. */
export function readLine(value: string, path: string[], maxLength: number, errors: FieldError[]): string {
  return read(value.trim(), path, maxLength, controls, errors);
}

/** Reads multi-line text: normalizes line ends to newlines and refuses other controls except tab. Twin of `is_text`. */
export function readText(value: string, path: string[], maxLength: number, errors: FieldError[]): string {
  return read(value.replace(/\r\n?/g, '\n').trim(), path, maxLength, controlsButNewlineAndTab, errors);
}

function read(text: string, path: string[], maxLength: number, refused: RegExp, errors: FieldError[]): string {
  const problem = problemWith(text, maxLength, refused);
  if (problem !== null) errors.push({ path, ...problem });
  return text;
}

function problemWith(text: string, maxLength: number, refused: RegExp): Omit<FieldError, 'path'> | null {
  if (text === '') return { code: 'REQUIRED', message: 'must not be empty' };
  // A string of n UTF-16 units has at least n / 2 code points: don't spread a huge string just to count them.
  if (text.length > maxLength * 2 || [...text].length > maxLength) {
    return { code: 'TOO_LONG', message: `must be at most ${maxLength} characters long` };
  }
  if (!text.isWellFormed()) return { code: 'MALFORMED', message: 'must be well-formed Unicode' };
  if (refused.test(text)) return { code: 'MALFORMED', message: 'must not contain control characters' };
  return null;
}
