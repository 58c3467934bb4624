import type { Queryable } from '../postgres/client.ts';
import type { Asker } from '../core/asker.ts';
import type { Message } from '../postgres/generated/prisma/client.ts';
import type { GroupCommit, WriteKind } from './group-commit.ts';
import { columns } from '../postgres/columns.ts';
import { visibleFrom } from './visibility.ts';
import { Forbidden, NotFound, RateLimited } from '../errors.ts';
import { isBlockedIn } from '../people/block.ts';
import { pairOne } from '../postgres/pairing.ts';
import { may, type ChatAccess } from './permission.ts';

/** How long a message is waited for that somebody else holds (psql in an open transaction). */
const patienceMs = 3_000;
const maxPauseMs = 200;

class MessageLocked extends RateLimited {}

/** What an asker wants to do to a message, as a write of the group commit knows it. */
export type MessageVerb = { asker: Asker; chatId: bigint; messageId: bigint };

/** A verb that may be done: its message, whose row this transaction has locked, and how the asker stands to the chat. */
export type Target<Verb extends MessageVerb> = { verb: Verb; message: Message; access: ChatAccess };

/**
 * How each asker stands to the chat, in the order of the inputs; undefined where there is no such chat. To be asked
 * after the chats' locks are held, in a statement of its own: whoever removes a member holds that lock too.
 */
export async function readChatAccesses(
  client: Queryable,
  places: readonly { asker: Asker; chatId: bigint }[],
): Promise<(ChatAccess | undefined)[]> {
  const { rows } = await client.query<ChatAccess & { index: number }>({
    name: 'accesses',
    text: `select w.index::int as index, c.type, ${visibleFrom('c', 'w.user_id')} as "visibleFrom", m.role,
      ${isBlockedIn('c', 'w.user_id')} as "isBlocked"
    from unnest($1::bigint[], $2::bigint[]) with ordinality as w (chat_id, user_id, index)
    join chats c on c.id = w.chat_id
    left join members m on m.chat_id = c.id and m.user_id = w.user_id`,
    values: [places.map(({ chatId }) => chatId), places.map(({ asker }) => asker.userId)],
  });
  return pairOne(rows, places, { value: (row): ChatAccess => row, missing: undefined });
}

/** Why an asker who stands so may put nothing into the chat; null where they may. */
export function refuseWriting(asker: Asker, access: ChatAccess): Forbidden | null {
  if (may(asker, 'sendMessage', access)) return null;
  if (access.isBlocked) return blocked();
  return new Forbidden('Only members can write in this channel: join it first.');
}

/** The refusal of one whom the other person of a single chat has blocked. It does not say more than that person would. */
export function blocked(): Forbidden {
  return new Forbidden('This person takes no messages from you.');
}

/**
 * Writes the verb, whose kind asks `readTargets`. A message that somebody else holds is tried again until it is free:
 * to wait for it inside the transaction would stop all others. RateLimited when that takes too long.
 */
export async function submitVerb<Verb extends MessageVerb>(
  writes: GroupCommit,
  kind: WriteKind<Verb, Message>,
  verb: Verb,
): Promise<Message> {
  const deadline = Date.now() + patienceMs;
  for (let pauseMs = 5; ; pauseMs = Math.min(pauseMs * 2, maxPauseMs)) {
    try {
      return await writes.submit(kind, verb);
    } catch (error) {
      if (!(error instanceof MessageLocked) || Date.now() > deadline) throw error;
      await new Promise((resolve) => setTimeout(resolve, pauseMs));
    }
  }
}

/**
 * Locks the messages and judges the verbs, in their order. What `refuse` returns is why one may not be done; before that
 * comes NotFound for a message that the person doesn't see, and MessageLocked for one that could not be locked.
 */
export async function readTargets<Verb extends MessageVerb>(
  client: Queryable,
  verbs: readonly Verb[],
  refuse: (target: Target<Verb>) => Error | null,
): Promise<(Target<Verb> | { error: Error })[]> {
  const messageIds = verbs.map(({ messageId }) => messageId);
  const messages = await lockMessages(client, messageIds);
  const accesses = await readChatAccesses(client, verbs);
  return verbs.map((verb, index) => {
    const access = accesses[index];
    if (access === undefined || access.visibleFrom === null) return missing();
    const message = messages.get(verb.messageId);
    if (message === undefined)
      return { error: new MessageLocked('The message is being changed by somebody else: try again.', 1) };
    if (message.seq < access.visibleFrom) return missing();
    const target = { verb, message, access };
    const error = refuse(target);
    return error === null ? target : { error };
  });
}

/** Those that may be done. */
export function allowed<Verb extends MessageVerb>(
  targets: readonly (Target<Verb> | { error: Error })[],
): Target<Verb>[] {
  return targets.flatMap((target) => ('error' in target ? [] : [target]));
}

function missing(): { error: Error } {
  return { error: new NotFound('There is no such message.') };
}

/** In the order of their ids; leaves out those that somebody else holds. */
async function lockMessages(client: Queryable, messageIds: readonly bigint[]): Promise<Map<bigint, Message>> {
  const { rows } = await client.query<Message>({
    name: 'lock_messages',
    text: `select ${columns.message('m')} from messages m
    where m.id = any ($1) order by m.id for no key update skip locked`,
    values: [messageIds],
  });
  return new Map(rows.map((message) => [message.id, message]));
}
