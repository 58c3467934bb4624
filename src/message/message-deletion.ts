import type { Db, Queryable } from '../postgres/client.ts';
import type { Message } from '../postgres/generated/prisma/client.ts';
import type { GroupCommit, WriteKind } from '../chat/group-commit.ts';
import { columns } from '../postgres/columns.ts';
import { Forbidden } from '../errors.ts';
import { requireVisibleMessage } from './message.ts';
import { may } from '../chat/permission.ts';
import {
  allowed,
  muted,
  readTargets,
  submitVerb,
  type MessageCase,
  type MessageVerb,
  type Target,
} from '../chat/chat-access.ts';
import { askerKey, type Asker } from '../core/asker.ts';

/**
 * Replaces a message with a tombstone: its content, files, revisions, reactions, mentions and pin are permanently
 * deleted, and the chat receives MessageDeleted. Deleting a message again returns its tombstone.
 * Allowed for the message's sender (even after leaving the chat, as long as the sender can still see the message), and
 * for owners and admins who are not muted; throws Forbidden for anyone else. Throws NotFound if the asker cannot see
 * the message.
 */
export async function deleteMessage(
  { db, writes }: { db: Db; writes: GroupCommit },
  asker: Asker,
  { messageId }: { messageId: bigint },
): Promise<Message> {
  const { id, chatId } = await requireVisibleMessage(db, asker, messageId);
  return submitVerb(writes, messageDeletions, { asker, chatId, messageId: id });
}

const messageDeletions: WriteKind<MessageVerb, Message> = {
  async write(client, _, verbs) {
    const targets = await readTargets(client, verbs, refuseDeletion);
    const deleted = await bury(client, allowed(targets));
    return targets.map((target) =>
      'error' in target ? target : { value: deleted.get(target.message.id) ?? target.message },
    );
  },
};

/** Returns why the asker may not delete the message; null if they may. */
export function refuseDeletion({ asker, message, access }: MessageCase): Error | null {
  if (message.senderId === asker.userId && message.kind === 'USER') return null;
  if (may(asker, 'deleteAnyMessage', access)) return null;
  const { mutedUntil: until } = access;
  return until !== null && may(asker, 'deleteAnyMessage', { ...access, mutedUntil: null })
    ? muted(until)
    : new Forbidden('Only the sender, owners and admins can delete this message.');
}

/**
 * Deletes those of the messages that are not deleted yet, and returns their tombstones. Triggers delete what belonged
 * to the messages.
 */
async function bury(client: Queryable, targets: readonly Target<MessageVerb>[]): Promise<Map<bigint, Message>> {
  const undeleted = targets.filter(({ message }) => message.deletedAt === null);
  // If several users delete the same message, the first deletion counts, because a deleted message cannot be deleted
  // again.
  const firsts = new Map(undeleted.toReversed().map((target) => [target.message.id, target]));
  const byActor = Map.groupBy(firsts.values(), ({ verb: { asker }, message }) =>
    message.senderId === asker.userId ? 'self' : askerKey(asker),
  );
  const tombstones: Message[] = [];
  for (const [actor, buried] of byActor) {
    const asker = actor === 'self' ? null : (buried[0]?.verb.asker ?? null);
    tombstones.push(...(await buryAs(client, asker, buried)));
  }
  return new Map(tombstones.map((message) => [message.id, message]));
}

/**
 * Deletes messages on behalf of one asker or (if null) of their senders, and passes the asker to the trigger that
 * writes the audit log. The actor stays set until the transaction ends, which does no harm, because no other write in
 * the group commit creates an audit entry.
 */
async function buryAs(
  client: Queryable,
  actor: Asker | null,
  targets: readonly Target<MessageVerb>[],
): Promise<Message[]> {
  const { rows } = await client.query<Message>({
    name: 'delete_messages',
    text: `update messages m set content = null, deleted_at = clock_timestamp()
    from (select set_config('parley.actor', $2, true), set_config('parley.api_key', $3, true)) named
    where m.id = any ($1)
    returning ${columns.message('m')}`,
    values: [
      targets.map(({ message }) => message.id),
      actor === null ? 'self' : String(actor.userId),
      actor?.kind === 'KEY' ? String(actor.keyId) : '',
    ],
  });
  return rows;
}
