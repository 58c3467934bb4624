import { visibleFrom } from '../chat/visibility.ts';

/** A file as people see it. */
export type SharedFile = {
  id: bigint;
  name: string;
  contentType: string;
  size: number;
  hash: string;
  /** In pixels; null, like all that is said of pictures, for what is none. */
  width: number | null;
  height: number | null;
  blurhash: string | null;
  /** What could not be done for it, for people to read. */
  note: string | null;
};

/**
 * Whether somebody, whose id is the expression `viewer`, may see the file: of a message that they see, the avatar of a
 * person or of a chat that they see, or their own that nothing has. Somebody whose account is gone sees none. Of
 * `files f` and `fileChat`.
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
 * Follows `files f`. Each is looked up by its key: a join that is planned while the tables are new and empty reads them
 * whole, until they are analyzed.
 */
export const fileChat = `left join lateral (select * from messages where id = f.message_id offset 0) m on true
    left join lateral (select * from chats where id = m.chat_id offset 0) c on true`;

/** Of `files f` and `blobs b`. */
export const fileColumns = `f.id, f.name, b.content_type as "contentType", b.size::int as size,
  encode(b.hash, 'hex') as hash, b.width, b.height, b.blurhash, b.note`;
