import type { Asker } from '../core/asker.ts';
import { decodeBase64url } from '../core/base64url.ts';
import { encodeId } from '../core/id.ts';
import type { SharedFile } from './shared-file.ts';
import { createHmac, timingSafeEqual, type KeyObject } from 'node:crypto';
import { thumbnailSides, type ThumbnailSize } from './picture.ts';
import { deriveKey, deriveKeys, type AccessTokenKeys } from '../account/token-key.ts';

const lifetimeMs = 24 * 60 * 60_000;
const purpose = 'parley file links';
/**
 * Links to the same file that are created within the same hour are identical, so that a browser finds the file in its
 * cache.
 */
const stepMs = 60 * 60_000;

/**
 * The kind of file to which a link leads: a regular file, or a file that is kept with a report for the server staff.
 */
export type LinkedKind = 'File' | 'ReportedFile';

/**
 * The file to which a link gives access, the session and the user for which the link was made, and the time when the
 * link expires. A link works only while that session is live and that user may see the file. Each request checks both
 * conditions.
 */
export type FileLink = {
  kind: LinkedKind;
  fileId: bigint;
  viewerId: bigint;
  sessionId: bigint;
  thumbnail: ThumbnailSize | null;
  expiresAt: Date;
};

/** Creates and reads links to files. Each link is created for one session of a user, and is valid for at most a day. */
export class FileLinks {
  /** This is a KeyObject, because an HMAC takes 13 µs instead of 2 if its key is raw bytes (measured with Node 24). */
  readonly #signing: KeyObject;
  readonly #verifying: readonly KeyObject[];

  /** All nodes share the keys, so a link is valid on every node for as long as its key is in the set. */
  constructor(keys: AccessTokenKeys) {
    this.#signing = deriveKey(keys, purpose);
    this.#verifying = deriveKeys(keys, purpose);
  }

  /** Returns the query string of a link that is valid for 23 to 24 hours. */
  sign({ viewerId, sessionId, thumbnail, ...file }: Omit<FileLink, 'expiresAt'>, now = Date.now()): string {
    const expires = Math.floor((now + lifetimeMs) / stepMs) * (stepMs / 1000);
    const terms = {
      expires: String(expires),
      viewer: String(viewerId),
      session: String(sessionId),
      ...(thumbnail !== null && { size: thumbnail }),
    };
    const signature = signatureOf(this.#signing, file, terms).toString('base64url');
    return String(new URLSearchParams({ ...terms, signature }));
  }

  /**
   * Returns the data of the signed link to that file, or null if this server did not create the signature. The caller
   * must check whether the link has expired.
   */
  read(file: Pick<FileLink, 'kind' | 'fileId'>, query: URLSearchParams): FileLink | null {
    const [expires = '', viewer = '', session = '', signature = ''] = ['expires', 'viewer', 'session', 'signature'].map(
      (name) => query.get(name) ?? '',
    );
    const size = query.get('size');
    if (!/^\d{1,12}$/.test(expires) || ![viewer, session].every((id) => /^\d{1,19}$/.test(id))) return null;
    if (size !== null && !isThumbnailSize(size)) return null;
    const given = decodeBase64url(signature);
    const terms = { expires, viewer, session, ...(size !== null && { size }) };
    const isOurs = this.#verifying.some((key) => {
      const expected = signatureOf(key, file, terms);
      return given?.length === expected.length && timingSafeEqual(given, expected);
    });
    if (!isOurs) return null;
    return {
      ...file,
      viewerId: BigInt(viewer),
      sessionId: BigInt(session),
      thumbnail: size,
      expiresAt: new Date(Number(expires) * 1000),
    };
  }
}

/** The parameters of a link, as they appear in its query string. */
type Terms = { expires: string; viewer: string; session: string; size?: string };

function signatureOf(
  key: KeyObject,
  { kind, fileId }: Pick<FileLink, 'kind' | 'fileId'>,
  { expires, viewer, session, size = '' }: Terms,
): Buffer {
  const subject = kind === 'File' ? String(fileId) : `${kind} ${fileId}`;
  return createHmac('sha256', key).update([subject, viewer, session, expires, size].join('\n')).digest();
}

function isThumbnailSize(size: string): size is ThumbnailSize {
  return Object.hasOwn(thumbnailSides, size);
}

/**
 * The maximum number of characters of a file's name in its URL, counted from the end of the name. The limit exists
 * because a page of 100 messages may contain 2,000 URLs.
 */
const maxNameInUrl = 24;

/** The maximum length of a file's URL: up to 12 bytes for each character of the name, plus the length of the rest. */
export const maxFileUrlBytes = 12 * maxNameInUrl + 300;

/**
 * Returns the relative URL from which the asker can read the file or a thumbnail of it. The URL works for at most a
 * day, while the asker's session is live.
 */
export function fileUrl(
  links: FileLinks,
  asker: Asker,
  {
    kind = 'File',
    file,
    thumbnail,
  }: { kind?: LinkedKind; file: Pick<SharedFile, 'id' | 'name'>; thumbnail: ThumbnailSize | null },
): string {
  const query = links.sign({ kind, fileId: file.id, viewerId: asker.userId, sessionId: asker.sessionId, thumbnail });
  return `/files/${encodeId(kind, file.id)}/${encodeURIComponent([...file.name].slice(-maxNameInUrl).join(''))}?${query}`;
}
