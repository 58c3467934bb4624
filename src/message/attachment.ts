import type { Asker } from '../core/asker.ts';
import type { Queryable } from '../postgres/client.ts';
import { InvalidInput, type FieldError } from '../errors.ts';
import { unnest } from '../postgres/unnest.ts';

/** The files that an asker wants to attach to a message. */
type Sending = { asker: Asker; fileIds: readonly bigint[] };

/**
 * The unused files that the messages of a batch attach. Each file can be taken only once. The rows of these files are
 * locked. If another transaction has locked a file, that transaction is attaching or deleting the file, so the file
 * counts as in use. Waiting for the lock would block the batch.
 */
export class Attachments {
  readonly #uploaderOf: Map<bigint, bigint>;

  private constructor(uploaderOf: Map<bigint, bigint>) {
    this.#uploaderOf = uploaderOf;
  }

  /**
   * Queries the database only if a message has files.
   * Raw SQL, because it is part of the group commit.
   */
  static async lock(client: Queryable, messages: readonly Sending[]): Promise<Attachments> {
    const fileIds = messages.flatMap((message) => message.fileIds);
    if (fileIds.length === 0) return new Attachments(new Map());
    const { rows } = await client.query<{ id: bigint; uploaderId: bigint }>({
      name: 'lock_files',
      text: `select id, uploader_id as "uploaderId" from files
      where id = any ($1) and message_id is null and not is_avatar order by id for update skip locked`,
      values: [fileIds],
    });
    return new Attachments(new Map(rows.map(({ id, uploaderId }) => [id, uploaderId])));
  }

  /**
   * Takes all files of a message. If any of the files is not an unused upload of the sender, takes none of them and
   * returns an error for each such file.
   */
  take({ asker, fileIds }: Sending): InvalidInput | null {
    const errors = fileIds.flatMap((fileId, index): FieldError[] =>
      this.#uploaderOf.get(fileId) === asker.userId
        ? []
        : [
            {
              path: ['fileIds', String(index)],
              code: 'NOT_FOUND',
              message: 'must be an upload of yours that is not in use yet',
            },
          ],
    );
    if (errors.length > 0) return new InvalidInput(errors);
    for (const fileId of fileIds) this.#uploaderOf.delete(fileId);
    return null;
  }
}

/**
 * Attaches the taken files to their messages, in the order of `fileIds`. The messages must already have been inserted.
 */
export async function attachFiles(
  client: Queryable,
  messages: readonly { id: bigint; fileIds: readonly bigint[] }[],
): Promise<void> {
  const placed = messages.flatMap(({ id, fileIds }) => fileIds.map((fileId, place) => ({ id, fileId, place })));
  if (placed.length === 0) return;
  await client.query({
    name: 'attach_files',
    text: `update files f set message_id = w.message_id, place = w.place
    from ${unnest('$1::bigint[]', '$2::bigint[]', '$3::int[]')} as w (file_id, message_id, place)
    where f.id = w.file_id`,
    values: [placed.map(({ fileId }) => fileId), placed.map(({ id }) => id), placed.map(({ place }) => place)],
  });
}
