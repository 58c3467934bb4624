import { crc32 } from 'node:zlib';

/**
 * Returns EXIF data that has only an orientation: a TIFF with a single tag (1 is upright, 2 to 8 are rotated or
 * mirrored).
 */
function describeOrientation(orientation: number): Buffer {
  const tiff = Buffer.alloc(26);
  tiff.write('MM\0*', 'latin1');
  tiff.writeUInt32BE(8, 4);
  tiff.writeUInt16BE(1, 8);
  // Tag 274, one 16-bit number.
  tiff.writeUInt16BE(274, 10);
  tiff.writeUInt16BE(3, 12);
  tiff.writeUInt32BE(1, 14);
  tiff.writeUInt16BE(orientation, 18);
  return tiff;
}

/** Returns the same EXIF data as a JPEG segment. */
export function jpegOrientation(orientation: number): Buffer {
  const exif = Buffer.concat([Buffer.from('Exif\0\0', 'latin1'), describeOrientation(orientation)]);
  const head = Buffer.from([0xff, 0xe1, 0, exif.length + 2]);
  return Buffer.concat([head, exif]);
}

/** Returns the same EXIF data as a PNG chunk. */
export function pngOrientation(orientation: number): Buffer {
  const exif = describeOrientation(orientation);
  const named = Buffer.concat([Buffer.from('eXIf', 'latin1'), exif]);
  const [length, check] = [Buffer.alloc(4), Buffer.alloc(4)];
  length.writeUInt32BE(exif.length);
  check.writeUInt32BE(crc32(named));
  return Buffer.concat([length, named, check]);
}

/** Returns the same EXIF data as a WebP chunk. */
export function webpOrientation(orientation: number): Buffer {
  const exif = describeOrientation(orientation);
  const head = Buffer.from('EXIF\0\0\0\0', 'latin1');
  head.writeUInt32LE(exif.length, 4);
  return Buffer.concat([head, exif]);
}
