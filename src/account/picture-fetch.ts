import { EgressFailed, type Egress, type EgressResponse } from '../core/egress.ts';
import type { Report } from '../core/report.ts';
import { InvalidInput, NotFound, RateLimited, TooLarge } from '../errors.ts';
import { tellContentType } from '../file/content-type.ts';
import { saveFile, type FileStorage, type SharedFile } from '../file/file.ts';
import { isPictureType } from '../file/picture.ts';
import { inTransaction, type Queryable } from '../postgres/client.ts';
import type { Lease, Leases } from '../postgres/lease.ts';
import { LeasedLoop, type LoopTimes } from '../postgres/leased-loop.ts';
import { countAttempt, findDuePictures, settlePicture, useClaimedPicture, type DuePicture } from './claimed-picture.ts';

/** How many pictures are fetched at the same time. */
const batchSize = 8;
const maxMs = 10_000;
const maxBytes = 5 * 1024 * 1024;

/** The response has no usable picture, so another attempt would be pointless. */
class NoPicture extends Error {}

/**
 * After one of these errors, the URL is not tried again, because it leads to no picture or to one that is too large, or
 * because the user is gone.
 */
const finalFailures = [NoPicture, InvalidInput, TooLarge, NotFound];

/** The dependencies of `PictureFetch`. Tests shorten its `times`. */
export type PictureFetchOptions = {
  files: FileStorage;
  egress: Egress;
  leases: Leases;
  report: Report;
  times?: Partial<LoopTimes> | undefined;
};

/**
 * Fetches the pictures to which tokens from other systems refer, and makes them avatars. Only one node at a time
 * fetches pictures. The pictures are cleaned like uploaded ones, and count toward the user's quota. Temporary failures
 * are retried up to four times within a day.
 */
export class PictureFetch {
  readonly #options: PictureFetchOptions;
  readonly #loop: LeasedLoop;
  readonly #closing = new AbortController();

  constructor(options: PictureFetchOptions) {
    this.#options = options;
    const { leases, report } = options;
    this.#loop = new LeasedLoop({
      leases,
      name: 'claimed pictures',
      times: { poll: 2_000, ...options.times },
      step: (lease) => this.#fetchDue(lease),
      onFailure: (error, failures) => {
        if (failures === 1) report('warn', 'fetching the pictures of users failed and will be retried', { error });
      },
    });
  }

  open(): void {
    this.#loop.open();
  }

  /** Cancels the requests in progress, which another node then retries. */
  close(): Promise<void> {
    this.#closing.abort();
    return this.#loop.close();
  }

  async #fetchDue(lease: Lease): Promise<boolean> {
    const due = await findDuePictures(this.#options.files.db.pool, batchSize);
    const outcomes = await Promise.allSettled(due.map((picture) => this.#fetch(lease, picture)));
    const failed = outcomes.find((outcome) => outcome.status === 'rejected');
    if (failed !== undefined) throw failed.reason;
    return due.length === batchSize;
  }

  async #fetch(lease: Lease, picture: DuePicture): Promise<void> {
    if (!picture.isWanted) return this.#write(lease, (client) => settlePicture(client, picture));
    const isLast = await this.#write(lease, (client) => countAttempt(client, picture));
    try {
      const file = await this.#download(picture);
      const isUsed = await this.#write(lease, (client) => useClaimedPicture(client, picture, file.id));
      if (!isUsed) await this.#discard(file);
    } catch (error) {
      const isFinal = finalFailures.some((kind) => error instanceof kind);
      if (!isFinal && !(error instanceof EgressFailed || error instanceof RateLimited)) throw error;
      if (isFinal) await this.#write(lease, (client) => settlePicture(client, picture));
      if (isFinal || isLast)
        this.#options.report('info', 'the picture of a user of another system is no longer fetched', { error });
    }
  }

  async #download({ userId, url }: DuePicture): Promise<SharedFile> {
    const { files, egress } = this.#options;
    const limits = { maxMs, maxBytes: Math.min(maxBytes, files.maxUploadBytes), signal: this.#closing.signal };
    const { body } = requirePicture(await egress.send(new URL(url), limits));
    const staged = await files.store.stage(singly(body));
    if (!isPictureType(await tellContentType(staged))) {
      await staged.discard();
      throw new NoPicture('the response is not a picture');
    }
    const file = await saveFile(files, { userId }, { name: 'avatar', staged });
    if (file.width !== null) return file;
    await this.#discard(file);
    throw new NoPicture('the picture cannot be decoded');
  }

  async #discard({ id }: SharedFile): Promise<void> {
    await this.#options.files.db.prisma.file.deleteMany({ where: { id, messageId: null, isAvatar: false } });
  }

  #write<T>(lease: Lease, work: (client: Queryable) => Promise<T>): Promise<T> {
    return inTransaction(this.#options.files.db, async (client) => {
      await lease.fence(client);
      return work(client);
    });
  }
}

/** A server that is overloaded or broken may provide the picture later. */
function requirePicture(response: EgressResponse): EgressResponse {
  const { status } = response;
  if (status === 200) return response;
  const message = `the response has the status ${status}`;
  throw status >= 500 || [408, 425, 429].includes(status) ? new EgressFailed(message) : new NoPicture(message);
}

async function* singly(bytes: Buffer) {
  yield bytes;
}
