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
 * Checks that the asker may export the data of their account, and returns the account. `secret` is the password, or a
 * recent token for an account without one (proof.ts). Throws InvalidCredentials for a wrong one, RateLimited after too
 * many wrong ones, and InvalidInput for a string that cannot be a password.
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
 * Checks that an export that is under way may continue. Throws Unauthenticated once the session has been ended, for
 * example by the erasure of the account or by a suspension. A session whose token expires in the meantime does not
 * count as ended.
 */
export async function requireStanding({ prisma }: Db, { userId, sessionId }: Asker): Promise<void> {
  const session = await prisma.session.findFirst({ where: { id: sessionId, userId }, select: { id: true } });
  if (session === null) throw new Unauthenticated('The session has ended: sign in again.');
}

/** Sends the user an email about an export, where email is on and the user's address is verified. */
export async function announceExport({ db, mail }: Pick<Accounts, 'db' | 'mail'>, asker: Asker): Promise<void> {
  if (mail === null) return;
  await queueMail(db.pool, { kind: 'DATA_EXPORT', userId: asker.userId });
  mail.ring();
}

/** The database and the store, which hold the bytes of files. */
type ExportedFiles = Pick<FileStorage, 'db' | 'store'>;

/**
 * A zip of a user's data, in chunks: the texts of `personalTexts`, then the files that the user has uploaded. Holds a
 * few megabytes in memory, and about 300 bytes for each file. Continues reading only when the previous chunk has been
 * taken, and holds no connection to the database in between, so data that changes in the meantime appears as it is when
 * it is read. Files that are deleted in the meantime are missing, and so are those whose bytes the store has lost.
 */
export async function* exportPerson(services: { files: ExportedFiles }, userId: bigint): AsyncGenerator<Uint8Array> {
  const entries = listEntries(services, userId);
  // Only `next`: the library would otherwise throw into the generator to stop it.
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
        // Does nothing to a stream that was read to its end.
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

/** Small chunks are joined: for each file, a zip has five of only a few bytes. */
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
