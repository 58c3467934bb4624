import type { Db, Queryable } from '../postgres/client.ts';
import type { Asker } from '../core/asker.ts';
import type { Message } from '../postgres/generated/prisma/client.ts';
import type { GroupCommit, WriteKind } from './group-commit.ts';
import { columns } from '../postgres/columns.ts';
import { defineLoader } from '../postgres/loader.ts';
import { mutedUntil } from '../postgres/restriction.ts';
import { isPeerErased } from './peer.ts';
import { chatReaderKey, visibleFrom } from './visibility.ts';
import { Forbidden, NotFound, RateLimited } from '../errors.ts';
import { isBlockedIn } from '../people/block.ts';
import { pairOne } from '../postgres/pairing.ts';
import { may, type ChatAccess } from './permission.ts';
import { unnest } from '../postgres/unnest.ts';

/**
 * How long an operation waits for a message that another transaction (for example, one left open in psql) has locked.
 */
const patienceMs = 3_000;
const maxPauseMs = 200;

class MessageLocked extends RateLimited {}

/** What an asker wants to do to a message, as an input to the group commit. */
export type MessageVerb = { asker: Asker; chatId: bigint; messageId: bigint };

/**
 * What the asker wants to do, the message (whose row this transaction has locked), and the asker's access to the chat.
 */
export type Target<Verb extends MessageVerb> = { verb: Verb; message: Message; access: ChatAccess };

/**
 * An asker, a message, and the asker's access to the message's chat. Together, these decide what the asker may do to
 * the message.
 */
export type MessageCase = { asker: Asker; message: Message; access: ChatAccess };

/**
 * Returns each asker's access to the chat, in the order of the inputs. An entry is undefined if there is no such chat.
 * For a write, call this function once the chats are locked. Removing a member takes the same lock, so the function
 * then sees every earlier removal.
 */
export async function readChatAccesses(
  client: Queryable,
  inputs: readonly { asker: Asker; chatId: bigint }[],
): Promise<(ChatAccess | undefined)[]> {
  const { rows } = await client.query<ChatAccess & { index: number }>({
    name: 'accesses',
    text: `select w.index::int as index, c.type, ${visibleFrom('c', 'w.user_id')} as "visibleFrom", m.role,
      ${isBlockedIn('c', 'w.user_id')} as "isBlocked", ${mutedUntil('c.id', 'w.user_id')} as "mutedUntil",
      ${isPeerErased('c')} as "isPeerErased"
    from ${unnest('$1::bigint[]', '$2::bigint[]')} with ordinality as w (chat_id, user_id, index)
    join chats c on c.id = w.chat_id
    left join members m on m.chat_id = c.id and m.user_id = w.user_id`,
    values: [inputs.map(({ chatId }) => chatId), inputs.map(({ asker }) => asker.userId)],
  });
  return pairOne(rows, inputs, { value: (row): ChatAccess => row, missing: undefined });
}

/** Loads each asker's access to a chat, or null if there is no such chat. */
export const chatAccessOf = defineLoader({
  load: async ({ pool }: Db, readers: readonly { asker: Asker; chatId: bigint }[]) =>
    (await readChatAccesses(pool, readers)).map((access) => access ?? null),
  keyOf: chatReaderKey,
});

/** Returns why an asker with this access may not write in the chat, or null if they may. */
export function refuseWriting(asker: Asker, access: ChatAccess): Forbidden | null {
  if (may(asker, 'sendMessage', access)) return null;
  return refusePerson(access) ?? new Forbidden('Only members can write in this channel: join it first.');
}

/**
 * Returns the error for an asker who may not write because they are muted or because the other person in a single chat
 * has blocked them. Returns null if neither is the case.
 */
export function refusePerson({ isBlocked, mutedUntil: until }: ChatAccess): Forbidden | null {
  if (isBlocked) return blocked();
  return until === null ? null : muted(until);
}

/** Creates the error for a muted member. */
export function muted(until: Date): Forbidden {
  return new Forbidden('You are muted in this chat.', { until });
}

/**
 * Creates the error for an asker who has been blocked by the other person in a single chat. Its message does not
 * mention the block.
 */
function blocked(): Forbidden {
  return new Forbidden('This person does not accept messages from you.');
}

/**
 * Submits `verb` as a write of `kind`. The `write` function of `kind` must call `readTargets`. While another
 * transaction has the message locked, retries the write, because waiting inside the transaction would block all other
 * writes. Throws RateLimited if the message stays locked for `patienceMs`. That time starts when the message is first
 * found locked. Any earlier wait, for example for the chat, does not count.
 */
export async function submitVerb<Verb extends MessageVerb>(
  writes: GroupCommit,
  kind: WriteKind<Verb, Message>,
  verb: Verb,
): Promise<Message> {
  let deadline: number | undefined;
  for (let pauseMs = 5; ; pauseMs = Math.min(pauseMs * 2, maxPauseMs)) {
    try {
      return await writes.submit(kind, verb);
    } catch (error) {
      if (!(error instanceof MessageLocked)) throw error;
      deadline ??= performance.now() + patienceMs;
      if (performance.now() > deadline) throw error;
      await new Promise((resolve) => setTimeout(resolve, pauseMs));
    }
  }
}

/**
 * Locks the messages and checks each verb. The results are in the order of the verbs. `refuse` returns the error if a
 * verb is not allowed, and null otherwise. The outcome of a verb is a NotFound if the asker cannot see the message, and
 * a MessageLocked if the message could not be locked.
 */
export async function readTargets<Verb extends MessageVerb>(
  client: Queryable,
  verbs: readonly Verb[],
  refuse: (about: MessageCase, verb: Verb) => Error | null,
): Promise<(Target<Verb> | { error: Error })[]> {
  const messageIds = verbs.map(({ messageId }) => messageId);
  const messages = await lockMessages(client, messageIds);
  const accesses = await readChatAccesses(client, verbs);
  return verbs.map((verb, index) => {
    const access = accesses[index];
    if (access === undefined || access.visibleFrom === null) return missing();
    const message = messages.get(verb.messageId);
    if (message === undefined)
      return { error: new MessageLocked('Another change to this message is in progress: try again.', 1) };
    if (message.seq < access.visibleFrom) return missing();
    const target = { verb, message, access };
    const error = refuse({ asker: verb.asker, message, access }, verb);
    return error === null ? target : { error };
  });
}

/** Returns the targets whose verbs are allowed. */
export function allowed<Verb extends MessageVerb>(
  targets: readonly (Target<Verb> | { error: Error })[],
): Target<Verb>[] {
  return targets.flatMap((target) => ('error' in target ? [] : [target]));
}

function missing(): { error: Error } {
  return { error: new NotFound('There is no such message.') };
}

/** Locks the messages in the order of their ids, and leaves out those that another transaction has locked. */
async function lockMessages(client: Queryable, messageIds: readonly bigint[]): Promise<Map<bigint, Message>> {
  const { rows } = await client.query<Message>({
    name: 'lock_messages',
    text: `select ${columns.message('m')} from messages m
    where m.id = any ($1) order by m.id for no key update skip locked`,
    values: [messageIds],
  });
  return new Map(rows.map((message) => [message.id, message]));
}
