/**
 * The bytes in a base64url text without padding (RFC 4648, section 5), or null for anything else. Only the one form that
 * an encoder writes is read: Buffer passes over foreign characters and the unused bits of the last one, so that several
 * texts stand for the same bytes.
 */
export function decodeBase64url(text: string): Buffer | null {
  const bytes = Buffer.from(text, 'base64url');
  return bytes.toString('base64url') === text ? bytes : null;
}
