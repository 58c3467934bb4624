import { DataStore, Metadata, Upload } from '@tus/server';
import type { Readable } from 'node:stream';
import type { PartialUploads } from './partial-upload.ts';
import type { Asker } from '../core/asker.ts';

/** The uploads of one person, as the tus server asks for them. Others' are NotFound. */
export class TusStore extends DataStore {
  readonly #partials: PartialUploads;
  readonly #asker: Asker;

  constructor(partials: PartialUploads, asker: Asker) {
    super();
    this.#partials = partials;
    this.#asker = asker;
    this.extensions = ['creation', 'creation-with-upload', 'creation-defer-length', 'termination', 'expiration'];
  }

  /** It has been begun by `onUploadCreate`, before anybody could hold it. */
  override async create(upload: Upload): Promise<Upload> {
    return upload;
  }

  override async getUpload(id: string): Promise<Upload> {
    const found = await this.#partials.find(this.#asker, id);
    return new Upload({
      id,
      offset: await this.#partials.offsetOf(found),
      creation_date: found.createdAt.toISOString(),
      ...(found.size !== null && { size: found.size }),
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
