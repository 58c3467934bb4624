/** Characters of a file's name. */
export const maxFileNameLength = 255;
/** So much of a name's end is kept as its extension when it is cut. */
const maxExtensionLength = 20;

/** What no name needs: controls, marks that turn the direction of reading (they make `exe.txt` of `txt.exe`), U+FFFD. */
const unwanted = /[\p{Cc}\p{Zl}\p{Zp}\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff\ufffd]/gu;

/**
 * A name fit to be shown and saved under: one line of 1 to 255 characters without any path, `file` when nothing else is
 * left. A name says nothing that matters, so a bad one is made good and not refused.
 */
export function cleanFileName(given: string): string {
  // Far more than is kept, and little enough to look at one by one.
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
