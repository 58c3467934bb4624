/**
 * Decodes base64url text without padding (RFC 4648, section 5). Returns null for any other text. Accepts only the
 * canonical form. Buffer ignores invalid characters and the unused bits of the last character, so without this check,
 * several strings would decode to the same bytes.
 */
export function decodeBase64url(text: string): Buffer | null {
  const bytes = Buffer.from(text, 'base64url');
  return bytes.toString('base64url') === text ? bytes : null;
}

/** Larger than any id or cursor. */
const scratch = Buffer.alloc(512);

/**
 * Encodes ASCII text as base64url without padding. Reuses a buffer, because a page of messages has 150 ids and cursors.
 */
export function encodeBase64url(text: string): string {
  if (text.length > scratch.length) return Buffer.from(text, 'latin1').toString('base64url');
  // The loop is faster than a call to `scratch.write`.
  for (let at = 0; at < text.length; at += 1) scratch[at] = text.charCodeAt(at);
  return scratch.toString('base64url', 0, text.length);
}
