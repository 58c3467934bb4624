import { DataStore, Metadata, Upload } from '@tus/server';
import type { Readable } from 'node:stream';
import type { PartialUploads } from './partial-upload.ts';
import type { Asker } from '../core/asker.ts';

/** What is spoken of the protocol beyond its core. */
export const tusExtensions = [
  'creation',
  'creation-with-upload',
  'creation-defer-length',
  'termination',
  'expiration',
] as const;

/** The uploads of one person, as the tus server asks for them. Others' are NotFound. */
export class TusStore extends DataStore {
  readonly #partials: PartialUploads;
  readonly #asker: Asker;
  readonly #declaresLength: boolean;

  /** `declaresLength`: the request says how large the upload is, which `declareUploadLength` holds against what is known. */
  constructor(partials: PartialUploads, asker: Asker, { declaresLength }: { declaresLength: boolean }) {
    super();
    this.#declaresLength = declaresLength;
    this.#partials = partials;
    this.#asker = asker;
    this.extensions = [...tusExtensions];
  }

  /** `onUploadCreate` has created it already, before any request could hold its lease. */
  override async create(upload: Upload): Promise<Upload> {
    return upload;
  }

  override async getUpload(id: string): Promise<Upload> {
    const found = await this.#partials.find(this.#asker, id);
    return new Upload({
      id,
      offset: await this.#partials.offsetOf(found),
      creation_date: found.createdAt.toISOString(),
      // The tus server refuses a length for an upload that has one, also the same length again.
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
