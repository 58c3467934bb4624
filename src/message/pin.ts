import type { Db, Queryable } from '../postgres/client.ts';
import type { Message } from '../postgres/generated/prisma/client.ts';
import type { GroupCommit, WriteKind } from '../chat/group-commit.ts';
import type { Outcome } from '../postgres/batch-commit.ts';
import { defineLoader } from '../postgres/loader.ts';
import { columns } from '../postgres/columns.ts';
import { Forbidden, InvalidInput, NotFound } from '../errors.ts';
import { requireVisibleMessage } from './message.ts';
import { may } from '../chat/permission.ts';
import {
  allowed,
  readTargets,
  refusePerson,
  submitVerb,
  type MessageCase,
  type MessageVerb,
  type Target,
} from '../chat/chat-access.ts';
import type { Asker } from '../core/asker.ts';
import { unnest } from '../postgres/unnest.ts';

/** How many messages can be pinned in one chat. */
export const maxPins = 50;

type Writing = { db: Db; writes: GroupCommit };
type Pin = MessageVerb & { isPinned: boolean };

/**
 * Pins a message to its chat; the chat receives PinsChanged. Nothing changes if the message is already pinned. Allowed
 * for owners and admins, and, in a single chat or a group, for every member who is not muted or blocked; throws
 * Forbidden for anyone else. Throws NotFound if the asker cannot see the message or if it is deleted, and InvalidInput
 * if the chat already has `maxPins` pins.
 */
export function pinMessage(writing: Writing, asker: Asker, input: { messageId: bigint }): Promise<Message> {
  return submitPin(writing, asker, { ...input, isPinned: true });
}

/** Removes the pin, with the same rules and errors as `pinMessage`. Nothing changes if the message is not pinned. */
export function unpinMessage(writing: Writing, asker: Asker, input: { messageId: bigint }): Promise<Message> {
  return submitPin(writing, asker, { ...input, isPinned: false });
}

/**
 * Loads the pinned messages of each chat, newest pin first. The caller filters out the messages that the asker cannot
 * see.
 */
export const pinnedIn = defineLoader({ load: listPinned });

/** Raw SQL, at half the cost of Prisma, because this runs when events are rendered, for many chats in one statement. */
async function listPinned(db: Db, chatIds: readonly bigint[]): Promise<Message[][]> {
  const { rows } = await db.pool.query<Message>({
    name: 'pinned',
    text: `select ${columns.message('m')} from pins p join messages m using (chat_id, seq)
    where p.chat_id = any ($1)
    order by p.pinned_at desc, p.seq desc`,
    values: [chatIds],
  });
  const byChat = Map.groupBy(rows, ({ chatId }) => chatId);
  return chatIds.map((chatId) => byChat.get(chatId) ?? []);
}

async function submitPin(
  { db, writes }: Writing,
  asker: Asker,
  { messageId, isPinned }: { messageId: bigint; isPinned: boolean },
): Promise<Message> {
  const { id, chatId } = await requireVisibleMessage(db, asker, messageId);
  return submitVerb(writes, pinWrites, { asker, chatId, messageId: id, isPinned });
}

/**
 * Applies the changes to the pins one after another in memory, and writes the result with one delete and one insert.
 */
const pinWrites: WriteKind<Pin, Message> = {
  async write(client, _, pins) {
    const targets = await readTargets(client, pins, refusePin);
    const before = await readPins(client, allowed(targets));
    const now = new Map([...before].map(([chatId, seqs]) => [chatId, new Set(seqs)]));
    const outcomes = targets.map((target) => ('error' in target ? target : apply(now, target)));
    await deletePins(client, onlyIn(before, now));
    await insertPins(client, onlyIn(now, before));
    return outcomes;
  },
};

/** Returns why the asker may neither pin nor unpin the message; null if they may. */
export function refusePin({ asker, message, access }: MessageCase): Error | null {
  if (!may(asker, 'pinMessage', access)) {
    return refusePerson(access) ?? new Forbidden('Only owners and admins can pin messages in this chat.');
  }
  return message.deletedAt === null ? null : new NotFound('The message has been deleted.');
}

/** The seqs of the pinned messages, grouped by chat. */
type Pins = Map<bigint, Set<number>>;

function apply(pins: Pins, { verb, message }: Target<Pin>): Outcome<Message> {
  const seqs = pins.get(message.chatId) ?? new Set();
  pins.set(message.chatId, seqs);
  if (!verb.isPinned) seqs.delete(message.seq);
  else if (!seqs.has(message.seq) && seqs.size >= maxPins) {
    return {
      error: new InvalidInput([
        { path: ['messageId'], code: 'TOO_MANY', message: `this chat already has ${maxPins} pinned messages` },
      ]),
    };
  } else seqs.add(message.seq);
  return { value: message };
}

/**
 * Reads the pins of these chats before any writes. Raw SQL, like the next two statements, because it is part of the
 * group commit.
 */
async function readPins(client: Queryable, targets: readonly Target<Pin>[]): Promise<Pins> {
  const { rows } = await client.query<{ chatId: bigint; seq: number }>({
    name: 'pins_before',
    text: 'select chat_id as "chatId", seq from pins where chat_id = any ($1)',
    values: [targets.map(({ message }) => message.chatId)],
  });
  const byChat = Map.groupBy(rows, ({ chatId }) => chatId);
  return new Map([...byChat].map(([chatId, pins]) => [chatId, new Set(pins.map(({ seq }) => seq))]));
}

/** Returns the pins that are in `these` but not in `those`. */
function onlyIn(these: Pins, those: Pins): { chatId: bigint; seq: number }[] {
  return [...these].flatMap(([chatId, seqs]) =>
    [...seqs].filter((seq) => those.get(chatId)?.has(seq) !== true).map((seq) => ({ chatId, seq })),
  );
}

async function deletePins(client: Queryable, keys: readonly { chatId: bigint; seq: number }[]): Promise<void> {
  if (keys.length === 0) return;
  await client.query({
    name: 'delete_pins',
    text: `delete from pins p using ${unnest('$1::bigint[]', '$2::int[]')} as w (chat_id, seq)
    where p.chat_id = w.chat_id and p.seq = w.seq`,
    values: [keys.map(({ chatId }) => chatId), keys.map(({ seq }) => seq)],
  });
}

async function insertPins(client: Queryable, keys: readonly { chatId: bigint; seq: number }[]): Promise<void> {
  if (keys.length === 0) return;
  await client.query({
    name: 'insert_pins',
    text: `insert into pins (chat_id, seq) select * from ${unnest('$1::bigint[]', '$2::int[]')} on conflict do nothing`,
    values: [keys.map(({ chatId }) => chatId), keys.map(({ seq }) => seq)],
  });
}
