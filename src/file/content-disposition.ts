/**
 * Types that a browser can display without executing any of their content. Never add SVG or HTML, which can contain
 * scripts. PDF files can only be downloaded, because browsers do not start their PDF viewer inside a sandbox, and
 * without the sandbox nothing would contain the viewer.
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
 * Returns the `content-disposition` header of a file (RFC 6266), which says whether the browser displays the file or
 * saves it under its name. The name appears in ASCII and, if it has other characters, also in the encoding of RFC 8187.
 */
export function describeDisposition(contentType: string, name: string): string {
  return describe(shown.has(contentType) ? 'inline' : 'attachment', name);
}

/**
 * Like `describeDisposition`, but for files in a store that sets neither `nosniff` nor a sandbox. Only types that no
 * browser treats as a page or a script, regardless of the bytes, are displayed. All other types, including plain text,
 * are served as downloads.
 */
export function describeUnguarded(contentType: string, name: string): { contentType: string; disposition: string } {
  const isSafe = shown.has(contentType) && /^(image|audio|video)\//.test(contentType);
  return {
    contentType: isSafe ? contentType : 'application/octet-stream',
    disposition: describe(isSafe ? 'inline' : 'attachment', name),
  };
}

function describe(disposition: 'inline' | 'attachment', name: string): string {
  // Some browsers would decode a percent sign, and a quote or a backslash would end or change the string.
  const plain = name.replace(/[^\x20-\x7e]|[%"\\]/gu, '_');
  const extended = plain === name ? '' : `; filename*=UTF-8''${encodeExtended(name)}`;
  return `${disposition}; filename="${plain}"${extended}`;
}

/**
 * Encodes a name as RFC 8187 requires: four characters that encodeURIComponent leaves unencoded are not in the RFC's
 * attr-char.
 */
function encodeExtended(name: string): string {
  return encodeURIComponent(name.toWellFormed()).replace(
    /['()*]/g,
    (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`,
  );
}
