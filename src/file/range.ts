/** The bytes from `start` to and with `end`. */
export type ByteRange = { start: number; end: number };

/**
 * What a Range header asks for of `size` bytes (RFC 9110, section 14): null for all of them, also where the header is
 * none that is served (several ranges, other units), and 'unsatisfiable' for what lies beyond the end.
 */
export function readRange(header: string | undefined, size: number): ByteRange | 'unsatisfiable' | null {
  // Of nothing there is no part.
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
