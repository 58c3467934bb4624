import type { Asker } from '../core/asker.ts';
import { decodeBase64url } from '../core/base64url.ts';
import { encodeId } from '../core/id.ts';
import type { SharedFile } from './shared-file.ts';
import { createHmac, timingSafeEqual, type KeyObject } from 'node:crypto';
import { thumbnailSides, type ThumbnailSize } from './picture.ts';
import { deriveKey, type AccessTokenKeys } from '../account/token-key.ts';

const lifetimeMs = 60 * 60_000;
/** Links made within the same few minutes are equal, so that a browser's cache finds the file. */
const stepMs = 5 * 60_000;

/** The file a link gives access to, the user who may follow it, and when it expires. */
export type FileLink = { fileId: bigint; viewerId: bigint; thumbnail: ThumbnailSize | null; expiresAt: Date };

/** Makes and reads links to files, each for one user and for at most an hour. */
export class FileLinks {
  /** A KeyObject: with bytes as its key, an HMAC takes 13 µs instead of 2 (Node 24, measured). */
  readonly #key: KeyObject;

  /** All nodes share the keys, so a link is valid on every node until the signing key changes. */
  constructor(keys: AccessTokenKeys) {
    this.#key = deriveKey(keys, 'parley file links');
  }

  /** The query string of a link that is valid for 55 to 60 minutes. */
  sign({ fileId, viewerId, thumbnail }: Omit<FileLink, 'expiresAt'>, now = Date.now()): string {
    const expires = Math.floor((now + lifetimeMs) / stepMs) * (stepMs / 1000);
    const terms = {
      expires: String(expires),
      viewer: String(viewerId),
      ...(thumbnail !== null && { size: thumbnail }),
    };
    const signature = this.#signatureOf(fileId, terms).toString('base64url');
    return String(new URLSearchParams({ ...terms, signature }));
  }

  /** The terms of the link to that file; null unless its signature is ours. The caller checks whether it has expired. */
  read(fileId: bigint, query: URLSearchParams): FileLink | null {
    const [expires = '', viewer = '', signature = ''] = ['expires', 'viewer', 'signature'].map(
      (name) => query.get(name) ?? '',
    );
    const size = query.get('size');
    if (!/^\d{1,12}$/.test(expires) || !/^\d{1,19}$/.test(viewer)) return null;
    if (size !== null && !isThumbnailSize(size)) return null;
    const given = decodeBase64url(signature);
    const expected = this.#signatureOf(fileId, { expires, viewer, ...(size !== null && { size }) });
    if (given?.length !== expected.length || !timingSafeEqual(given, expected)) return null;
    return { fileId, viewerId: BigInt(viewer), thumbnail: size, expiresAt: new Date(Number(expires) * 1000) };
  }

  #signatureOf(
    fileId: bigint,
    { expires, viewer, size = '' }: { expires: string; viewer: string; size?: string },
  ): Buffer {
    return createHmac('sha256', this.#key).update([fileId, viewer, expires, size].join('\n')).digest();
  }
}

function isThumbnailSize(size: string): size is ThumbnailSize {
  return Object.hasOwn(thumbnailSides, size);
}

/** How many of the last characters of a name its URL shows: a page of 100 messages may hold 2,000 URLs. */
const maxNameInUrl = 24;

/** The longest URL of a file: each character of its name up to 12 bytes there, and the rest. */
export const maxFileUrlBytes = 12 * maxNameInUrl + 300;

/** The relative URL at which the asker, and no one else, reads the file or a thumbnail of it. */
export function fileUrl(
  links: FileLinks,
  asker: Asker,
  { file, thumbnail }: { file: SharedFile; thumbnail: ThumbnailSize | null },
): string {
  const query = links.sign({ fileId: file.id, viewerId: asker.userId, thumbnail });
  return `/files/${encodeId('File', file.id)}/${encodeURIComponent([...file.name].slice(-maxNameInUrl).join(''))}?${query}`;
}
