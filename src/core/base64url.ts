/**
 * Decodes base64url text without padding (RFC 4648, section 5); null for anything else. Accepts only the canonical
 * form: Buffer ignores invalid characters and the unused bits of the last character, so several strings decode to the
 * same bytes.
 */
export function decodeBase64url(text: string): Buffer | null {
  const bytes = Buffer.from(text, 'base64url');
  return bytes.toString('base64url') === text ? bytes : null;
}
