import { isLiveSession, sessionLifetime } from '../account/live-session.ts';
import type { Db } from '../postgres/client.ts';
import type { FileQuestion, FoundFile } from './file-lookup.ts';
import { fileColumns } from './shared-file.ts';

/**
 * Finds a file that is kept with a report. Returns null if the file does not exist, the session has ended, or the user
 * is not a member of the server staff. Raw SQL, because one statement checks all of this and reads the bytes, as for
 * other files.
 */
export async function findReportedFile(
  { pool }: Db,
  { viewerId, sessionId, fileId, withBytes }: Omit<FileQuestion, 'thumbnail'>,
): Promise<FoundFile | null> {
  const { rows } = await pool.query<FoundFile>(
    `select ${fileColumns}, b.bytes is not null as "isInline", case when $4::boolean then b.bytes end as bytes
    from report_files f join blobs b on b.hash = f.blob_hash
    where f.id = $3
      and exists (select from sessions s where s.id = $2 and s.user_id = $1 and ${isLiveSession('s', '$5')})
      and exists (select from users where id = $1 and server_role in ('MODERATOR', 'ADMIN') and deleted_at is null)`,
    [viewerId, sessionId, fileId, withBytes, sessionLifetime],
  );
  return rows[0] ?? null;
}
