/** Annex K of ITU-T T.81: the luminance table, which encoders scale by their quality. Its order doesn't matter here. */
const luminance = [
  ...[16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55, 14, 13, 16, 24, 40, 57, 69, 56, 14, 17, 22, 29],
  ...[51, 87, 80, 62, 18, 22, 37, 56, 68, 109, 103, 77, 24, 35, 55, 64, 81, 104, 113, 92, 49, 64, 78, 87, 103, 121],
  ...[120, 101, 72, 92, 95, 98, 112, 100, 103, 99],
];

/** How coarse the table of a quality from 1 to 100 is, as libjpeg scales it: the sum of its steps. */
function coarsenessOf(quality: number): number {
  const scale = quality < 50 ? 5_000 / quality : 200 - quality * 2;
  return luminance.reduce((sum, step) => sum + Math.min(255, Math.max(1, Math.floor((step * scale + 50) / 100))), 0);
}

const maxMarkers = 1_000;
/** For a JPEG without a table that can be read: nothing of it is to be lost. */
const unknownQuality = 95;

/**
 * The least quality at which libjpeg quantizes no coarser than this JPEG was, by the beginning of the file: encoded with
 * it again, a picture keeps what it has. From 50 to 100.
 */
export function estimateJpegQuality(head: Buffer): number {
  const coarseness = readCoarseness(head);
  if (coarseness === null) return unknownQuality;
  for (let quality = 50; quality < 100; quality += 1) if (coarsenessOf(quality) <= coarseness) return quality;
  return 100;
}

/** Of the first table of 8 bits (DQT). */
function readCoarseness(head: Buffer): number | null {
  let position = 2;
  for (let count = 0; count < maxMarkers && position + 4 < head.length; count += 1) {
    if (head[position] !== 0xff) return null;
    const marker = head[position + 1];
    const table = position + 5;
    if (marker === 0xdb && table + 64 <= head.length && ((head[position + 4] ?? 0) & 0xf0) === 0) {
      return head.subarray(table, table + 64).reduce((sum, step) => sum + step, 0);
    }
    if (marker === 0xda) return null;
    position += 2 + head.readUInt16BE(position + 2);
  }
  return null;
}
