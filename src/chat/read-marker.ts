import type { Queryable } from '../postgres/client.ts';
import type { ChatType, Member } from '../postgres/generated/prisma/client.ts';
import type { GroupCommit, LockedChat, WriteKind } from './group-commit.ts';
import type { Outcome } from '../postgres/batch-commit.ts';
import { columns } from '../postgres/columns.ts';
import { memberKeyOf } from './member.ts';
import { InvalidInput, NotFound } from '../errors.ts';
import type { Asker } from '../core/asker.ts';
import { unnest } from '../postgres/unnest.ts';

/** How far an asker has read. `rewind` allows the marker to move back. */
export type ReadMark = { asker: Asker; chatId: bigint; seq: number; rewind: boolean };

/** Returns whether the members of a chat of this type see how far the other members have read. */
export function showsReceipts(type: ChatType | undefined): boolean {
  return type === 'SINGLE' || type === 'GROUP';
}

/**
 * Moves the asker's marker to `seq`. Their devices receive ReadMarkerMoved. Does nothing if the marker is already
 * there. Throws NotFound if the asker is not a member, and InvalidInput for a seq after the newest message or, without
 * `rewind`, before the marker. A seq of 0 means that the asker has read nothing.
 */
export async function markRead(
  writes: GroupCommit,
  asker: Asker,
  mark: { chatId: bigint; seq: number; rewind: boolean },
): Promise<Member> {
  if (mark.seq < 0) throw refusal('must not be negative');
  return writes.submit(readMarks, { ...mark, asker });
}

/**
 * Writes many markers in one update. Several marks for the same member are applied one after another, and only the
 * result is written.
 */
const readMarks: WriteKind<ReadMark, Member> = {
  async write(client, chats, marks) {
    const before = await readMembers(client, marks);
    const now = new Map(before);
    const outcomes = marks.map((mark): Outcome<Member> => {
      const key = memberKeyOf({ chatId: mark.chatId, userId: mark.asker.userId });
      const outcome = move(now.get(key), mark, chats.get(mark.chatId));
      if ('value' in outcome) now.set(key, outcome.value);
      return outcome;
    });
    await writeMarkers(
      client,
      [...now.values()].filter((member) => before.get(memberKeyOf(member)) !== member),
    );
    return outcomes;
  },
};

function move(member: Member | undefined, mark: ReadMark, chat: LockedChat | undefined): Outcome<Member> {
  if (member === undefined || chat === undefined) return { error: new NotFound('You are not a member of that chat.') };
  if (mark.seq > chat.lastSeq) return { error: refusal("must not be higher than the chat's newest message") };
  if (mark.seq === member.lastReadSeq) return { value: member };
  if (mark.seq < member.lastReadSeq && !mark.rewind) {
    return { error: refusal('is before the read marker: set `rewind: true` to move it back') };
  }
  return { value: { ...member, lastReadSeq: mark.seq } };
}

/**
 * Returns the members, keyed by `memberKeyOf`. Reads them while the chats are locked, because removing a member takes
 * the same lock.
 */
async function readMembers(client: Queryable, marks: readonly ReadMark[]): Promise<Map<string, Member>> {
  const { rows } = await client.query<Member>({
    name: 'marking_members',
    text: `select distinct ${columns.member('m')}
    from ${unnest('$1::bigint[]', '$2::bigint[]')} as mark (chat_id, user_id)
    join members m using (chat_id, user_id)`,
    values: [marks.map(({ chatId }) => chatId), marks.map(({ asker }) => asker.userId)],
  });
  return new Map(rows.map((member) => [memberKeyOf(member), member]));
}

/** Moves the markers of these members in one statement. Raw SQL, because it is part of the group commit. */
async function writeMarkers(client: Queryable, members: readonly Member[]): Promise<void> {
  if (members.length === 0) return;
  await client.query({
    name: 'mark_read',
    text: `update members m set last_read_seq = mark.seq
    from ${unnest('$1::bigint[]', '$2::bigint[]', '$3::int[]')} as mark (chat_id, user_id, seq)
    where m.chat_id = mark.chat_id and m.user_id = mark.user_id`,
    values: [
      members.map(({ chatId }) => chatId),
      members.map(({ userId }) => userId),
      members.map(({ lastReadSeq }) => lastReadSeq),
    ],
  });
}

function refusal(message: string): InvalidInput {
  return new InvalidInput([{ path: ['seq'], code: 'NOT_ALLOWED', message }]);
}
