import { callerKey, type Caller } from '../core/asker.ts';
import type { Db } from '../postgres/client.ts';
import { defineLoader } from '../postgres/loader.ts';
import { pairMany, pairOne } from '../postgres/pairing.ts';
import { unnest } from '../postgres/unnest.ts';

// This module lets staff read messages that they may not be able to see in the chat. Each statement also writes an
// entry to the audit log, so nothing can be read without being recorded. Reading is a query instead of a mutation,
// because it changes no data that a client caches. A client also reads a report wherever it displays the report, in a
// list or through `node`.

/** How many messages before and after a reported message the staff can read. */
export const maxSurroundingsPerSide = 5;

/**
 * A report, and the caller who reads it. The code that creates this object must have checked that the caller may read
 * the report.
 */
export type ReportReader = { reportId: bigint; caller: Caller };

/** A file of a reported message. `size` is in bytes. */
export type ReportedFile = {
  id: bigint;
  name: string;
  contentType: string;
  size: number;
  width: number | null;
  height: number | null;
};

/** A `ReportedFile` as JSON. The id is a string, because JSON has no bigint. */
type StoredFile = Omit<ReportedFile, 'id'> & { id: string };

/** The state of a message when it was reported. */
export type ReportedMessage = { content: string; files: ReportedFile[] };

/**
 * A message near a reported message, or the reported message itself, as it is now. `content` is null if the message has
 * been deleted.
 */
export type NearbyMessage = {
  seq: number;
  senderId: bigint | null;
  content: string | null;
  fileCount: number;
  createdAt: Date;
  isReported: boolean;
};

const readerKey = ({ reportId, caller }: ReportReader) => `${reportId} ${callerKey(caller)}`;

/**
 * Loads what was reported, as it was at the time of the report, or null if the report is gone. Each read is recorded in
 * the audit log as READ_REPORT.
 */
export const reportedIn = defineLoader({ load: readReported, keyOf: readerKey, alsoWrites: true });

/**
 * Loads a reported message and up to five messages before and after it, as they are now, or an empty list if the
 * message's chat is gone. Each read is recorded in the audit log as READ_REPORT_CONTEXT.
 */
export const surroundingsOf = defineLoader({ load: readSurroundings, keyOf: readerKey, alsoWrites: true });

/**
 * Returns the beginning of a statement that has the parameters $1 to $3. This part numbers the reads, and writes an
 * audit entry for each of them, as write_audit_entry does.
 */
const look = (action: string) => `with reader as (
      select * from ${unnest('$1::bigint[]', '$2::bigint[]', '$3::bigint[]')} with ordinality
        as reader (report_id, user_id, key_id, index)
    ), look as (
      insert into audit_entries (actor_id, action, target_type, target_key, detail, api_key_id)
      select case when k.id is null then reader.user_id else coalesce(k.bot_id, k.creator_id) end,
        '${action}', 'Report', r.id::text, jsonb_strip_nulls(jsonb_build_object('user', 'User:' || r.author_id,
          'actedAs', case when k.id is not null and reader.user_id is distinct from k.bot_id
            then 'User:' || reader.user_id end)), reader.key_id
      from reader join reports r on r.id = reader.report_id left join api_keys k on k.id = reader.key_id
    )`;

/** Raw SQL, so that one statement both reads the reported content and writes the audit entries. */
async function readReported({ pool }: Db, readers: readonly ReportReader[]): Promise<(ReportedMessage | null)[]> {
  const { rows } = await pool.query<{ index: number; content: string; files: StoredFile[] }>(
    `${look('READ_REPORT')}
    select reader.index::int as index, r.content, coalesce((
      select jsonb_agg(jsonb_build_object('id', f.id::text, 'name', f.name, 'contentType', b.content_type,
        'size', b.size, 'width', b.width, 'height', b.height) order by f.place)
      from report_files f join blobs b on b.hash = f.blob_hash where f.report_id = r.id), '[]') as files
    from reader join reports r on r.id = reader.report_id`,
    valuesOf(readers),
  );
  return pairOne(rows, readers, {
    value: ({ content, files }) => ({ content, files: files.map((file) => ({ ...file, id: BigInt(file.id) })) }),
    missing: null,
  });
}

/** Raw SQL, so that one statement both reads the messages around each report and writes the audit entries. */
async function readSurroundings({ pool }: Db, readers: readonly ReportReader[]): Promise<NearbyMessage[][]> {
  const { rows } = await pool.query<NearbyMessage & { index: number }>(
    `${look('READ_REPORT_CONTEXT')}
    select reader.index::int as index, near.*
    from reader join reports r on r.id = reader.report_id join messages reported on reported.id = r.message_id
    cross join lateral (
      select m.seq, m.sender_id as "senderId", m.content, m.file_count as "fileCount", m.created_at as "createdAt",
        m.id = reported.id as "isReported"
      from messages m
      where m.chat_id = reported.chat_id and m.seq between reported.seq - $4 and reported.seq + $4
    ) near
    order by reader.index, near.seq`,
    [...valuesOf(readers), maxSurroundingsPerSide],
  );
  return pairMany(rows, readers, (row): NearbyMessage => row);
}

function valuesOf(readers: readonly ReportReader[]): (bigint | null)[][] {
  return [
    readers.map(({ reportId }) => reportId),
    readers.map(({ caller }) => caller.userId),
    readers.map(({ caller }) => (caller.kind === 'KEY' ? caller.keyId : null)),
  ];
}
