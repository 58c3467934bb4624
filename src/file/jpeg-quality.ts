/**
 * The luminance table of Annex K of ITU-T T.81, which encoders scale by quality. The order of the numbers doesn't
 * matter here.
 */
const luminance = [
  ...[16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55, 14, 13, 16, 24, 40, 57, 69, 56, 14, 17, 22, 29],
  ...[51, 87, 80, 62, 18, 22, 37, 56, 68, 109, 103, 77, 24, 35, 55, 64, 81, 104, 113, 92, 49, 64, 78, 87, 103, 121],
  ...[120, 101, 72, 92, 95, 98, 112, 100, 103, 99],
];

/**
 * Returns the coarseness of the table, which is the sum of its steps, as libjpeg scales it for a quality from 1 to 100.
 */
function coarsenessOf(quality: number): number {
  const scale = quality < 50 ? 5_000 / quality : 200 - quality * 2;
  return luminance.reduce((sum, step) => sum + Math.min(255, Math.max(1, Math.floor((step * scale + 50) / 100))), 0);
}

const maxMarkers = 1_000;
/** The quality for a JPEG without a readable table, chosen so that re-encoding loses no detail. */
const unknownQuality = 95;

/**
 * Returns the lowest quality, from 50 to 100, at which libjpeg quantizes no more coarsely than the encoder of this JPEG
 * did, judging by the beginning of the file. A picture that is re-encoded at this quality keeps its detail.
 */
export function estimateJpegQuality(head: Buffer): number {
  const coarseness = readCoarseness(head);
  if (coarseness === null) return unknownQuality;
  for (let quality = 50; quality < 100; quality += 1) if (coarsenessOf(quality) <= coarseness) return quality;
  return 100;
}

/** Returns the coarseness of the first 8-bit table (DQT), or null if none is found. */
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
