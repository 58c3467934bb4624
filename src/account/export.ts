import type { Readable } from 'node:stream';
import { makeZip } from 'client-zip';
import { findBytes } from '../file/file-download.ts';
import type { FileStorage } from '../file/file.ts';
import type { Asker } from '../core/asker.ts';
import { InvalidInput, Unauthenticated, type FieldError } from '../errors.ts';
import type { Db } from '../postgres/client.ts';
import type { Accounts } from './account.ts';
import { requireOwnCredentials, type Credentials } from './credentials.ts';
import { pathInExport } from './export-name.ts';
import { personalTexts } from './personal-data.ts';
import { readFiles } from './personal-row.ts';
import { queueMail } from '../mail/outbox.ts';
import { checkGivenProof, requireProof } from './proof.ts';

/**
 * Checks that the asker may export the data of their account, and returns the account. `secret` is the password or, for
 * an account without one, a recent token (proof.ts). Throws InvalidCredentials if the secret is wrong, RateLimited
 * after too many wrong secrets, and InvalidInput for a string that cannot be a password.
 */
export async function requireExporter(accounts: Accounts, asker: Asker, secret: string | null): Promise<Credentials> {
  const user = await requireOwnCredentials(accounts.db, asker);
  const errors: FieldError[] = [];
  checkGivenProof({ user, secret }, ['password'], errors);
  if (errors.length > 0) throw new InvalidInput(errors);
  await requireProof(accounts, asker, { user, secret });
  return user;
}

/**
 * Checks that an export in progress may continue. Throws Unauthenticated if the session has ended, for example
 * because the account was erased or suspended. A session whose token expires during the export does not count as ended.
 */
export async function requireStanding({ prisma }: Db, { userId, sessionId }: Asker): Promise<void> {
  const session = await prisma.session.findFirst({ where: { id: sessionId, userId }, select: { id: true } });
  if (session === null) throw new Unauthenticated('The session has ended: sign in again.');
}

/** Sends the user an email about an export, if the server sends mail and the user's address is verified. */
export async function announceExport({ db, mail }: Pick<Accounts, 'db' | 'mail'>, asker: Asker): Promise<void> {
  if (mail === null) return;
  await queueMail(db.pool, { kind: 'DATA_EXPORT', userId: asker.userId });
  mail.ring();
}

/** The database, and the store that contains the bytes of files. */
type ExportedFiles = Pick<FileStorage, 'db' | 'store'>;

/**
 * Yields a zip of a user's data in chunks: the text files of `personalTexts`, then the files that the user has
 * uploaded. Uses a few megabytes of memory, and about 300 bytes for each file. Continues reading only when the caller
 * asks for the next chunk, and holds no database connection in between. If data changes during the export, the zip
 * contains the version that existed when the data was read. The zip lacks files that are deleted during the export, and
 * files whose bytes the store has lost.
 */
export async function* exportPerson(services: { files: ExportedFiles }, userId: bigint): AsyncGenerator<Uint8Array> {
  const entries = listEntries(services, userId);
  // Exposes only `next`, because the library would otherwise stop the generator by throwing into it.
  const zip = makeZip({ [Symbol.asyncIterator]: () => ({ next: () => entries.next() }) });
  try {
    yield* gather(zip);
  } finally {
    await entries.return();
  }
}

type Entry = { name: string; input: AsyncIterable<string | Uint8Array>; lastModified?: Date };

async function* listEntries({ files }: { files: ExportedFiles }, userId: bigint): AsyncGenerator<Entry, void> {
  for (const { name, content } of personalTexts(files.db.pool, userId)) yield { name, input: content };
  for await (const page of readFiles(files.db.pool, userId)) {
    for (const file of page) {
      const range = { start: 0, end: file.size - 1 };
      const found = await findBytes({ files }, { ...file, bytes: null }, range);
      if (found === null) continue;
      const bytes = Buffer.isBuffer(found) ? inOneChunk(found) : found;
      try {
        yield { name: pathInExport(file), input: bytes, lastModified: file.createdAt };
      } finally {
        // Has no effect on a stream that was read to its end.
        if (isStream(bytes)) bytes.destroy();
      }
    }
  }
}

async function* inOneChunk(bytes: Buffer): AsyncGenerator<Uint8Array> {
  yield bytes;
}

function isStream(bytes: object): bytes is Readable {
  return 'destroy' in bytes;
}

/**
 * The size that a chunk must have before it is sent. Smaller chunks are joined, because a zip has five chunks of only a
 * few bytes for each file.
 */
const minChunkBytes = 64 * 1024;

async function* gather(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  let small: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of chunks) {
    small.push(chunk);
    size += chunk.length;
    if (size < minChunkBytes) continue;
    yield small.length === 1 ? chunk : Buffer.concat(small, size);
    small = [];
    size = 0;
  }
  if (size > 0) yield Buffer.concat(small, size);
}
