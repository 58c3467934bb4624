import { createReadStream } from 'node:fs';
import { Readable } from 'node:stream';
import {
  AbortMultipartUploadCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListMultipartUploadsCommand,
  type ListMultipartUploadsCommandOutput,
  ListObjectsV2Command,
  PutObjectCommand,
  type S3Client,
} from '@aws-sdk/client-s3';
import { Upload } from '@aws-sdk/lib-storage';
import { getSignedUrl } from '@aws-sdk/s3-request-presigner';
import { CannotStart, StoreUnavailable } from '../../errors.ts';
import type { Report } from '../../core/report.ts';
import { Semaphore } from '../../core/semaphore.ts';
import { createS3Client, explainRefusal, isMissing, isNotImplemented, isUploadGone, nullIf } from './s3-client.ts';
import type { S3Location } from './s3-location.ts';
import { Staging, type TakenBytes } from './staging.ts';
import type { FileStore, LinkHeaders, StagedBytes } from './store.ts';

/** The smallest part size that S3 allows. While an upload's parts are sent, two of them are in memory. */
const partBytes = 5 * 1024 * 1024;
const partsAtOnce = 2;
const maxSendingBytes = 64 * 1024 * 1024;

/** The time limit for a request without a large body, including retries. */
const askMs = 15_000;

/**
 * A link is valid for 5 to 10 minutes. Links to the same file that are made within the same 5 minutes are identical, so
 * that a browser finds the file in its cache.
 */
const linkStepSeconds = 300;
const linkSeconds = 600;

type Asking = { abortSignal: AbortSignal };

/**
 * Stores bytes in an S3 bucket, at `ab/cdef…` as in the local store, so that the contents of one store can be copied to
 * the other. Incoming bytes wait on this machine's disk until they are complete. An object is either complete or
 * absent, and every node sees it immediately.
 */
export class S3Store implements FileStore {
  readonly #client: S3Client;
  readonly #publicClient: S3Client;
  readonly #location: S3Location;
  readonly #staging: Staging;
  readonly #report: Report;
  readonly #sending = new Semaphore(maxSendingBytes);
  readonly #closing = new AbortController();

  /**
   * `incoming` is a folder that only this node uses. Failures are reported to `report`, and callers get
   * StoreUnavailable.
   */
  constructor(location: S3Location, { incoming, report }: { incoming: string; report: Report }) {
    this.#client = createS3Client(location, { isPublic: false });
    this.#publicClient = createS3Client(location, { isPublic: true });
    this.#location = location;
    this.#staging = new Staging(incoming, { lasts: false });
    this.#report = report;
  }

  async prepare(): Promise<void> {
    await this.#staging.prepare();
    const { bucket, prefix } = this.#location;
    const object = { Bucket: bucket, Key: `${prefix}write-check` };
    const within = { abortSignal: AbortSignal.timeout(askMs) };
    try {
      await this.#client.send(new ListObjectsV2Command({ Bucket: bucket, Prefix: prefix, MaxKeys: 1 }), within);
      await this.#client.send(new PutObjectCommand({ ...object, Body: 'parley' }), within);
      await this.#client.send(new DeleteObjectCommand(object), within);
    } catch (error) {
      throw new CannotStart(`FILE_STORE, bucket ${bucket}: ${explainRefusal(error)}.`, { cause: error });
    }
  }

  async stage(source: AsyncIterable<Uint8Array>): Promise<StagedBytes> {
    const taken = await this.#staging.take(source);
    // The object has no metadata about a particular file, because another user's file may have the same bytes.
    const keep = async () => {
      await this.#send(taken);
      await taken.discard();
    };
    return { ...taken, content: taken.path, send: () => this.#send(taken), keep };
  }

  async open(hash: string, { start, end }: { start: number; end: number }): Promise<Readable | null> {
    const command = new GetObjectCommand({ ...this.#objectOf(hash), Range: `bytes=${start}-${end}` });
    const answer = await this.#ask('reading', (options) =>
      this.#client.send(command, options).catch(nullIf(isMissing)),
    );
    if (answer === null) return null;
    if (!(answer.Body instanceof Readable)) throw new Error('the AWS SDK did not return a Node.js stream');
    return answer.Body;
  }

  async remove(hash: string): Promise<void> {
    await this.#ask('deleting', (options) => this.#client.send(new DeleteObjectCommand(this.#objectOf(hash)), options));
  }

  async list(prefix: string): Promise<string[]> {
    const { bucket, prefix: folder } = this.#location;
    const hashes: string[] = [];
    let token: string | undefined;
    do {
      const command = new ListObjectsV2Command({
        Bucket: bucket,
        Prefix: `${folder}${prefix}/`,
        ContinuationToken: token,
      });
      const page = await this.#ask('listing', (options) => this.#client.send(command, options));
      for (const { Key } of page.Contents ?? []) hashes.push(...this.#hashOf(Key));
      token = page.NextContinuationToken;
    } while (token !== undefined);
    return hashes;
  }

  async sweepStaged(before: Date): Promise<number> {
    return (await this.#staging.sweep(before)) + (await this.#abortUploads(before));
  }

  close(): void {
    this.#closing.abort();
    this.#client.destroy();
  }

  /**
   * Creates a URL that downloads the bytes directly from S3 with these headers. The response lacks the other headers
   * that this server sets. The URL is valid for 5 to 10 minutes and for GET only. Signing the URL requires no
   * additional permission.
   */
  async link(hash: string, { contentType, disposition }: LinkHeaders): Promise<string> {
    const command = new GetObjectCommand({
      ...this.#objectOf(hash),
      ResponseContentType: contentType,
      ResponseContentDisposition: disposition,
      ResponseCacheControl: `private, max-age=${linkSeconds}`,
    });
    const step = linkStepSeconds * 1000;
    const signingDate = new Date(Math.floor(Date.now() / step) * step);
    return this.#ask('signing', () =>
      getSignedUrl(this.#publicClient, command, { expiresIn: linkSeconds, signingDate }),
    );
  }

  /** Uploads the bytes, unless an object with the same hash and size already exists. */
  async #send({ hash, size, path }: TakenBytes): Promise<void> {
    const command = new HeadObjectCommand(this.#objectOf(hash));
    const found = await this.#ask('looking', (options) => this.#client.send(command, options).catch(nullIf(isMissing)));
    if (found?.ContentLength === size) return;
    await this.#sending.hold(Math.min(size, partBytes) * partsAtOnce, () => this.#upload({ hash, size, path }));
  }

  async #upload({ hash, size, path }: Pick<TakenBytes, 'hash' | 'size' | 'path'>): Promise<void> {
    const body = createReadStream(path, { highWaterMark: 256 * 1024 });
    const upload = new Upload({
      client: this.#client,
      partSize: partBytes,
      queueSize: partsAtOnce,
      params: {
        ...this.#objectOf(hash),
        Body: body,
        ContentLength: size,
        // With these headers, a browser does not render the object even if the bucket is ever made public.
        ContentType: 'application/octet-stream',
        ContentDisposition: 'attachment',
      },
    });
    try {
      await upload.done();
    } catch (error) {
      throw this.#unavailable('writing', error);
    } finally {
      body.destroy();
    }
  }

  /**
   * Aborts multipart uploads that were never completed, because S3 bills them as well. Some S3-compatible services
   * delete them automatically.
   */
  async #abortUploads(before: Date): Promise<number> {
    const { bucket, prefix } = this.#location;
    let count = 0;
    let page: ListMultipartUploadsCommandOutput | null = null;
    do {
      const command: ListMultipartUploadsCommand = new ListMultipartUploadsCommand({
        Bucket: bucket,
        Prefix: prefix,
        KeyMarker: page?.NextKeyMarker,
        UploadIdMarker: page?.NextUploadIdMarker,
      });
      page = await this.#ask('listing', (options) =>
        this.#client.send(command, options).catch(nullIf(isNotImplemented)),
      );
      for (const { Key, UploadId, Initiated } of page?.Uploads ?? []) {
        if (this.#hashOf(Key).length === 0 || Initiated === undefined || Initiated >= before) continue;
        const abort = new AbortMultipartUploadCommand({ Bucket: bucket, Key, UploadId });
        await this.#ask('deleting', (options) => this.#client.send(abort, options).catch(nullIf(isUploadGone)));
        count += 1;
      }
    } while (page?.IsTruncated === true && page.NextKeyMarker !== undefined);
    return count;
  }

  #objectOf(hash: string): { Bucket: string; Key: string } {
    return { Bucket: this.#location.bucket, Key: `${this.#location.prefix}${hash.slice(0, 2)}/${hash.slice(2)}` };
  }

  /**
   * Returns an array with the hash that the key represents, or an empty array if the key does not have the format of
   * this store.
   */
  #hashOf(key = ''): string[] {
    const { prefix } = this.#location;
    const name = key.slice(prefix.length);
    return key.startsWith(prefix) && /^[0-9a-f]{2}\/[0-9a-f]{62}$/.test(name) ? [name.replace('/', '')] : [];
  }

  /** Throws StoreUnavailable when `send` throws, or when the response does not begin in time. */
  async #ask<Answer>(doing: string, send: (options: Asking) => Promise<Answer>): Promise<Answer> {
    const patience = new AbortController();
    // The limit does not apply to the body of the response.
    const timer = setTimeout(() => patience.abort(), askMs);
    try {
      return await send({ abortSignal: AbortSignal.any([patience.signal, this.#closing.signal]) });
    } catch (error) {
      throw this.#unavailable(doing, error);
    } finally {
      clearTimeout(timer);
    }
  }

  #unavailable(doing: string, error: unknown): StoreUnavailable {
    this.#report('warn', 'the file store is not available', { doing, reason: explainRefusal(error), error });
    return new StoreUnavailable('The file store is unavailable: try again.', { cause: error });
  }
}
