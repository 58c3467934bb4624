import { randomBytes } from 'node:crypto';
import sharp from 'sharp';
import { PictureWorker } from '../../src/file/picture-worker.ts';
import { atFileEnd } from './file-end.ts';

/** Opens a worker that decodes for at most `maxMs`. The worker is closed when the test file ends. */
export function openWorker(maxMs?: number): PictureWorker {
  const worker = new PictureWorker(maxMs);
  atFileEnd(() => worker.close());
  return worker;
}

/** Returns a small PNG whose bytes are unique. */
export const paintSmall = (): Promise<Buffer> =>
  sharp(randomBytes(300), { raw: { width: 10, height: 10, channels: 3 } })
    .png()
    .toBuffer();
