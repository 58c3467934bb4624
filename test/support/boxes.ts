/** Returns a box as defined in ISO/IEC 14496-12. */
export function box(type: string, ...body: (Uint8Array | string)[]): Buffer {
  const content = Buffer.concat(body.map((each) => Buffer.from(each as Uint8Array)));
  const head = Buffer.alloc(8);
  head.writeUInt32BE(content.length + 8);
  head.write(type, 4, 'latin1');
  return Buffer.concat([head, content]);
}

/** Returns consecutive 16-bit integers. */
export function u16(...values: number[]): Buffer {
  const bytes = Buffer.alloc(values.length * 2);
  for (const [index, value] of values.entries()) bytes.writeUInt16BE(value, index * 2);
  return bytes;
}

/** Returns a HEIC with one EXIF item, and with an `iloc` box that has the given body after its version and flags. */
export function heicWith(places: Uint8Array, version = 0): Buffer {
  const item = box('infe', Buffer.from([2, 0, 0, 0]), u16(1, 0), 'Exif\0');
  return Buffer.concat([
    box('ftyp', 'heic\0\0\0\0heicmif1'),
    box(
      'meta',
      Buffer.alloc(4),
      box('iinf', Buffer.alloc(4), u16(1), item),
      box('iloc', Buffer.from([version, 0, 0, 0]), places),
    ),
  ]);
}
