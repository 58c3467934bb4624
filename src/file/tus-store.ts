import { DataStore, Metadata, Upload } from '@tus/server';
import type { Readable } from 'node:stream';
import type { PartialUploads } from './partial-upload.ts';
import type { Asker } from '../core/asker.ts';

/** The supported protocol extensions. */
export const tusExtensions = [
  'creation',
  'creation-with-upload',
  'creation-defer-length',
  'termination',
  'expiration',
] as const;

/** The uploads of one user, as the tus server accesses them. A request for another user's upload throws NotFound. */
export class TusStore extends DataStore {
  readonly #partials: PartialUploads;
  readonly #asker: Asker;
  readonly #declaresLength: boolean;

  /**
   * `declaresLength` says whether the request declares the size of the upload, which `declareUploadLength` compares
   * with the known size.
   */
  constructor(partials: PartialUploads, asker: Asker, { declaresLength }: { declaresLength: boolean }) {
    super();
    this.#declaresLength = declaresLength;
    this.#partials = partials;
    this.#asker = asker;
    this.extensions = [...tusExtensions];
  }

  /** `onUploadCreate` has already created the upload, before any request could hold its lease. */
  override async create(upload: Upload): Promise<Upload> {
    return upload;
  }

  override async getUpload(id: string): Promise<Upload> {
    const found = await this.#partials.find(this.#asker, id);
    return new Upload({
      id,
      offset: await this.#partials.offsetOf(found),
      creation_date: found.createdAt.toISOString(),
      // The tus server refuses a length if the upload already has one, even if both lengths are the same.
      ...(found.size !== null && !this.#declaresLength && { size: found.size }),
      ...(found.metadata !== null && { metadata: Metadata.parse(found.metadata) }),
    });
  }

  override async write(source: Readable, id: string, offset: number): Promise<number> {
    return this.#partials.append(await this.#partials.find(this.#asker, id), offset, source);
  }

  override async declareUploadLength(id: string, size: number): Promise<void> {
    await this.#partials.declareSize(await this.#partials.find(this.#asker, id), size);
  }

  override async remove(id: string): Promise<void> {
    await this.#partials.end(await this.#partials.find(this.#asker, id));
  }

  override getExpiration(): number {
    return this.#partials.lifetimeMs;
  }
}
