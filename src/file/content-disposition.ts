/**
 * Types that a browser shows by itself without running anything of them. Never SVG or HTML, which hold scripts; PDF only
 * as a download, for its viewer is no longer contained where the sandbox keeps it from starting.
 */
const shown = new Set([
  'image/png',
  'image/jpeg',
  'image/gif',
  'image/webp',
  'image/avif',
  'video/mp4',
  'video/webm',
  'audio/mpeg',
  'audio/ogg',
  'audio/wav',
  'text/plain',
]);

/**
 * The `content-disposition` of a file (RFC 6266): shown in the page or saved under its name. The name stands there twice,
 * in ASCII and, for any other, by RFC 8187.
 */
export function describeDisposition(contentType: string, name: string): string {
  return describe(shown.has(contentType) ? 'inline' : 'attachment', name);
}

/**
 * The same for a store that sets neither `nosniff` nor a sandbox: only what no browser takes for a page or a script,
 * whatever its bytes, is shown; all else, plain text too, is bytes to be saved.
 */
export function describeUnguarded(contentType: string, name: string): { contentType: string; disposition: string } {
  const isSafe = shown.has(contentType) && /^(image|audio|video)\//.test(contentType);
  return {
    contentType: isSafe ? contentType : 'application/octet-stream',
    disposition: describe(isSafe ? 'inline' : 'attachment', name),
  };
}

function describe(disposition: 'inline' | 'attachment', name: string): string {
  // A percent sign would be decoded by some browsers, a quote and a backslash end or bend the string.
  const plain = name.replace(/[^\x20-\x7e]|[%"\\]/gu, '_');
  const extended = plain === name ? '' : `; filename*=UTF-8''${encodeExtended(name)}`;
  return `${disposition}; filename="${plain}"${extended}`;
}

/** RFC 8187's attr-char: encodeURIComponent leaves four characters more. */
function encodeExtended(name: string): string {
  return encodeURIComponent(name.toWellFormed()).replace(
    /['()*]/g,
    (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`,
  );
}
