/** The maximum length of a file name, in characters. */
export const maxFileNameLength = 255;
/** The maximum length of an extension that is kept when a name is shortened, in characters, including the dot. */
const maxExtensionLength = 20;

/**
 * Characters that no file name needs: control characters, bidirectional marks (which make `txt.exe` look like
 * `exe.txt`), and U+FFFD.
 */
const unwanted = /[\p{Cc}\p{Zl}\p{Zp}\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff\ufffd]/gu;

/**
 * Returns a name that is safe to display and to save the file under: one line of 1 to 255 characters without a path. If
 * no characters are left, the name is `file`. Nothing depends on the name, so an invalid name is corrected rather than
 * refused.
 */
export function cleanFileName(given: string): string {
  // This is far longer than any name that is kept, but short enough to process character by character.
  const bounded = given.length > 10_000 ? given.slice(0, 5_000) + given.slice(-5_000) : given;
  const last = bounded.toWellFormed().split(/[/\\]/).at(-1) ?? '';
  const line = last.replace(unwanted, '').trim();
  return /^\.*$/.test(line) ? 'file' : shorten(line);
}

function shorten(name: string): string {
  const characters = [...name];
  if (characters.length <= maxFileNameLength) return name;
  const dot = characters.lastIndexOf('.');
  const extension = dot > 0 && characters.length - dot <= maxExtensionLength ? characters.slice(dot) : [];
  return [...characters.slice(0, maxFileNameLength - extension.length), ...extension].join('').trim();
}
