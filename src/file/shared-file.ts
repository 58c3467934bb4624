import { visibleFrom } from '../chat/visibility.ts';

/** A file as users see it. */
export type SharedFile = {
  id: bigint;
  name: string;
  contentType: string;
  size: number;
  hash: string;
  /** In pixels. Like all fields of pictures, it is null if the file is not a picture. */
  width: number | null;
  height: number | null;
  blurhash: string | null;
  /** What the server could not do with the file, as a sentence for users. */
  note: string | null;
};

/**
 * Returns an SQL condition on `files f` and `fileChat` that says whether a user may see the file. `asker` is an SQL
 * expression for the user's id. A user can see the files of the messages that they can see, the avatars of all users
 * and of the chats that they can see, and their own unused uploads. A user whose account has been erased cannot see any
 * files.
 */
export const fileVisibleTo = (asker: string) =>
  `exists (select from users v where v.id = ${asker} and v.deleted_at is null)
      and case
        when f.message_id is not null then m.seq >= ${visibleFrom('c', asker)}
        when f.is_avatar then exists (select from users u where u.avatar_file_id = f.id and u.deleted_at is null)
          or exists (select from chats ac where ac.avatar_file_id = f.id and ${visibleFrom('ac', asker)} is not null)
        else f.uploader_id = ${asker}
      end`;

/**
 * The joins that follow `files f`. Each row is looked up by its key. Otherwise, PostgreSQL would keep using the plan
 * that it made for a plain join while the tables were new and empty, and would read whole tables until they are
 * analyzed.
 */
export const fileChat = `left join lateral (select * from messages where id = f.message_id offset 0) m on true
    left join lateral (select * from chats where id = m.chat_id offset 0) c on true`;

/** The columns of a SharedFile, from `files f` and `blobs b`. */
export const fileColumns = `f.id, f.name, b.content_type as "contentType", b.size::int as size,
  encode(b.hash, 'hex') as hash, b.width, b.height, b.blurhash, b.note`;
