/**
 * Whether an If-None-Match header contains the tag. The comparison is weak, because a proxy that compresses a response
 * makes its strong tag weak (RFC 9110, 13.1.2).
 */
export function matchesEtag(header: string | undefined, etag: string): boolean {
  if (header === undefined) return false;
  const opaque = etag.replace(/^W\//, '');
  return header.split(',').some((each) => each.trim() === '*' || each.trim().replace(/^W\//, '') === opaque);
}
