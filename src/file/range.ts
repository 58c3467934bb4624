/** A range of bytes from `start` to `end`, both inclusive. */
export type ByteRange = { start: number; end: number };

/**
 * Parses a Range header for a file of `size` bytes (RFC 9110, section 14). Returns null if all bytes are to be sent,
 * which is also the case for unsupported kinds of ranges (several ranges, other units). Returns 'unsatisfiable' for a
 * range beyond the end of the file.
 */
export function readRange(header: string | undefined, size: number): ByteRange | 'unsatisfiable' | null {
  // An empty file has no ranges.
  if (size === 0) return null;
  const match = /^bytes= *(\d{0,15})-(\d{0,15}) *$/i.exec(header ?? '');
  if (match === null) return null;
  const [, first = '', last = ''] = match;
  if (first === '' && last === '') return null;
  if (first === '') {
    const length = Number(last);
    return length === 0 ? 'unsatisfiable' : { start: Math.max(0, size - length), end: size - 1 };
  }
  const start = Number(first);
  const end = last === '' ? size - 1 : Math.min(Number(last), size - 1);
  if (last !== '' && Number(last) < start) return null;
  return start >= size ? 'unsatisfiable' : { start, end };
}
