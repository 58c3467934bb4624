import type { Db, Queryable } from '../postgres/client.ts';
import type { Message } from '../postgres/generated/prisma/client.ts';
import type { GroupCommit, WriteKind } from '../chat/group-commit.ts';
import type { Outcome } from '../postgres/batch-commit.ts';
import { defineLoader } from '../postgres/loader.ts';
import { pairMany } from '../postgres/pairing.ts';
import { messageKeyOf, type MessageKey } from './message-loader.ts';
import { columns } from '../postgres/columns.ts';
import { Forbidden, InvalidInput, NotFound, type FieldError } from '../errors.ts';
import { callsEveryone, replaceMentions } from './mention.ts';
import { requireVisibleMessage } from './message.ts';
import {
  allowed,
  readTargets,
  refuseWriting,
  submitVerb,
  type MessageCase,
  type MessageVerb,
  type Target,
} from '../chat/chat-access.ts';
import { maxContentLength, readText } from '../core/text.ts';
import type { Asker } from '../core/asker.ts';
import { unnest } from '../postgres/unnest.ts';

/** How many times a message can be edited; there is a limit because every version is stored. */
export const maxEdits = 100;

/** The text of a message from `createdAt` until the next version. */
export type Revision = { version: number; content: string; createdAt: Date };

type Edit = MessageVerb & { content: string };

/**
 * Replaces the text of the asker's own message and stores the previous version; the chat receives MessageEdited.
 * Sending the same text again changes nothing. Throws NotFound if the asker cannot see the message or the message is
 * deleted. A deletion wins over an edit, even if both happen at the same moment. Throws Forbidden for another user's
 * message, if the asker may not write in the chat, and after `maxEdits` edits.
 */
export async function editMessage(
  { db, writes }: { db: Db; writes: GroupCommit },
  asker: Asker,
  input: { messageId: bigint; content: string },
): Promise<Message> {
  const errors: FieldError[] = [];
  const content = readText(input.content, ['content'], maxContentLength, errors);
  if (errors.length > 0) throw new InvalidInput(errors);
  const { id, chatId } = await requireVisibleMessage(db, asker, input.messageId);
  return submitVerb(writes, messageEdits, { asker, chatId, messageId: id, content });
}

/** Loads the earlier versions of each message, oldest version first. */
export const revisionsOf = defineLoader({ load: listRevisions, keyOf: messageKeyOf });

/** Raw SQL, which costs half as much as Prisma: events and pages run this, for many messages in one statement. */
async function listRevisions(db: Db, places: readonly MessageKey[]): Promise<Revision[][]> {
  const { rows } = await db.pool.query<Revision & { index: number }>({
    name: 'revisions',
    text: `select w.index::int as index, r.version, r.content, r.created_at as "createdAt"
    from ${unnest('$1::bigint[]', '$2::int[]')} with ordinality as w (chat_id, seq, index)
    join message_revisions r using (chat_id, seq)
    order by w.index, r.version`,
    values: [places.map(({ chatId }) => chatId), places.map(({ seq }) => seq)],
  });
  return pairMany(rows, places, (row): Revision => row);
}

/**
 * Edits of different messages share one update; edits of the same message run one after another, and each creates a
 * version.
 */
const messageEdits: WriteKind<Edit, Message> = {
  async write(client, _, edits) {
    const outcomes = new Map<Edit, Outcome<Message>>();
    while (outcomes.size < edits.length) {
      const round = firstOfEach(edits.filter((edit) => !outcomes.has(edit)));
      const targets = await readTargets(client, round, refuseEdit);
      const edited = await update(client, allowed(targets));
      for (const [index, target] of targets.entries()) {
        const outcome = 'error' in target ? target : { value: edited.get(target.message.id) ?? target.message };
        outcomes.set(round[index] as Edit, outcome);
      }
    }
    return edits.map((edit) => outcomes.get(edit) as Outcome<Message>);
  },
};

function firstOfEach(edits: readonly Edit[]): Edit[] {
  const firsts = new Map<bigint, Edit>();
  for (const edit of edits) if (!firsts.has(edit.messageId)) firsts.set(edit.messageId, edit);
  return [...firsts.values()];
}

/** Returns why the asker may not edit the message, or null if they may edit it. */
export function refuseEdit({ asker, message, access }: MessageCase): Error | null {
  if (message.deletedAt !== null) return new NotFound('The message has been deleted.');
  if (message.senderId !== asker.userId || message.kind !== 'USER') {
    return new Forbidden('Only the sender can edit a message.');
  }
  if (message.version > maxEdits) return new Forbidden(`A message can be edited at most ${maxEdits} times.`);
  return refuseWriting(asker, access);
}

/** Returns the messages whose text changed. A trigger increments the version and stores the previous text. */
async function update(client: Queryable, edits: readonly Target<Edit>[]): Promise<Map<bigint, Message>> {
  const changes = edits.filter(({ verb, message }) => verb.content !== message.content);
  if (changes.length === 0) return new Map();
  const { rows } = await client.query<Message>({
    name: 'edit_messages',
    text: `update messages m set content = w.content, mentions_everyone = w.mentions_everyone
    from ${unnest('$1::bigint[]', '$2::text[]', '$3::bool[]')} as w (id, content, mentions_everyone)
    where m.id = w.id
    returning ${columns.message('m')}`,
    values: [
      changes.map(({ message }) => message.id),
      changes.map(({ verb }) => verb.content),
      changes.map(({ verb, access }) => callsEveryone(verb, access)),
    ],
  });
  await replaceMentions(
    client,
    changes.map(({ verb, message }) => ({ chatId: message.chatId, seq: message.seq, content: verb.content })),
  );
  return new Map(rows.map((message) => [message.id, message]));
}
