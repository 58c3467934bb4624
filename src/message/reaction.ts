import type { Db, Queryable } from '../postgres/client.ts';
import type { Message } from '../postgres/generated/prisma/client.ts';
import type { GroupCommit, WriteKind } from '../chat/group-commit.ts';
import type { Outcome } from '../postgres/batch-commit.ts';
import { defineLoader } from '../postgres/loader.ts';
import { pairMany } from '../postgres/pairing.ts';
import { messageKeyOf, type MessageKey } from './message-loader.ts';
import { InvalidInput, NotFound } from '../errors.ts';
import { readEmoji } from './emoji.ts';
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
import { askerKey, type Asker } from '../core/asker.ts';
import { unnest } from '../postgres/unnest.ts';

/** How many different emoji a message can have. */
export const maxEmoji = 20;

/** An emoji on a message, and how many people have reacted with it. */
export type EmojiCount = { emoji: string; count: number };

type Writing = { db: Db; writes: GroupCommit };
type Reaction = MessageVerb & { emoji: string; isAdded: boolean };

/**
 * Adds the asker's reaction to a message; the chat receives ReactionsChanged. Nothing changes if the asker has already
 * added this reaction. Throws InvalidInput if the text is not exactly one emoji or if the message would get more than
 * `maxEmoji` different emoji; NotFound if the asker cannot see the message or if it is deleted; Forbidden if the asker
 * may not write in the chat.
 */
export async function addReaction(
  { db, writes }: Writing,
  asker: Asker,
  input: { messageId: bigint; emoji: string },
): Promise<Message> {
  const emoji = readEmoji(input.emoji);
  if (emoji === null)
    throw new InvalidInput([{ path: ['emoji'], code: 'MALFORMED', message: 'must be exactly one emoji' }]);
  const { id, chatId } = await requireVisibleMessage(db, asker, input.messageId);
  return submitVerb(writes, reactionWrites, { asker, chatId, messageId: id, emoji, isAdded: true });
}

/**
 * Removes the asker's reaction from a message, even if the asker has left the chat; the chat receives ReactionsChanged.
 * Nothing changes if there is no such reaction. Throws NotFound if the asker cannot see the message.
 */
export async function removeReaction(
  { db, writes }: Writing,
  asker: Asker,
  input: { messageId: bigint; emoji: string },
): Promise<Message> {
  const message = await requireVisibleMessage(db, asker, input.messageId);
  const { id, chatId } = message;
  const emoji = readEmoji(input.emoji);
  if (emoji === null) return message;
  return submitVerb(writes, reactionWrites, { asker, chatId, messageId: id, emoji, isAdded: false });
}

/** Loads the emoji of each message, in the order in which they were first added. */
export const reactionsOf = defineLoader({ load: listReactions, keyOf: messageKeyOf });

/** Raw SQL, which costs half as much as Prisma: events and pages run this, for many messages in one statement. */
async function listReactions(db: Db, keys: readonly MessageKey[]): Promise<EmojiCount[][]> {
  const { rows } = await db.pool.query<EmojiCount & { index: number }>({
    name: 'reactions',
    text: `select w.index::int as index, c.emoji, c.count
    from ${unnest('$1::bigint[]', '$2::int[]')} with ordinality as w (chat_id, seq, index)
    join reaction_counts c using (chat_id, seq)
    order by w.index, c.created_at, c.emoji`,
    values: [keys.map(({ chatId }) => chatId), keys.map(({ seq }) => seq)],
  });
  return pairMany(rows, keys, ({ emoji, count }) => ({ emoji, count }));
}

/** A message, and the asker who reads it. */
type MessageReader = MessageKey & { asker: Asker };

/** Loads the emoji that the asker has added to each message. */
export const ownReactionsOf = defineLoader({
  load: listOwnReactions,
  keyOf: (reader: MessageReader) => `${messageKeyOf(reader)} ${askerKey(reader.asker)}`,
});

/**
 * Raw SQL, at half the cost of Prisma, because this runs for events and pages, for many messages and askers in one
 * statement.
 */
async function listOwnReactions(db: Db, keys: readonly MessageReader[]): Promise<ReadonlySet<string>[]> {
  const { rows } = await db.pool.query<{ index: number; emoji: string }>({
    name: 'own_reactions',
    text: `select w.index::int as index, r.emoji
    from ${unnest('$1::bigint[]', '$2::int[]', '$3::bigint[]')} with ordinality as w (chat_id, seq, user_id, index)
    join reactions r using (chat_id, seq, user_id)`,
    values: [keys.map(({ chatId }) => chatId), keys.map(({ seq }) => seq), keys.map(({ asker }) => asker.userId)],
  });
  return pairMany(rows, keys, ({ emoji }) => emoji).map((emoji) => new Set(emoji));
}

/**
 * The state of the reactions that a batch changes: the reactions in the database before the batch, the reactions after
 * it, and the emoji of each message with their counts.
 */
type State = { counts: Map<bigint, Map<string, number>>; before: Set<string>; now: Map<string, Target<Reaction>> };

/**
 * Applies the changes to reactions one after another in memory, and writes the result with one delete and one insert.
 */
const reactionWrites: WriteKind<Reaction, Message> = {
  async write(client, _, reactions) {
    const targets = await readTargets(client, reactions, refuse);
    const state = await readState(client, allowed(targets));
    const outcomes = targets.map((target) => ('error' in target ? target : apply(state, target)));
    await writeState(client, state, allowed(targets));
    return outcomes;
  },
};

/** Returns why the asker may not make the change; anyone who can see the message may remove their own reaction. */
function refuse(about: MessageCase, { isAdded }: Reaction): Error | null {
  return isAdded ? refuseReaction(about) : null;
}

/** Returns why the asker may not react to the message; null if they may. */
export function refuseReaction({ asker, message, access }: MessageCase): Error | null {
  if (message.deletedAt !== null) return new NotFound('The message has been deleted.');
  return refuseWriting(asker, access);
}

function apply({ counts, now }: State, target: Target<Reaction>): Outcome<Message> {
  const { verb, message } = target;
  const ofMessage = counts.get(message.id) ?? new Map<string, number>();
  counts.set(message.id, ofMessage);
  const count = ofMessage.get(verb.emoji) ?? 0;
  const isThere = now.has(keyOf(verb));
  if (verb.isAdded && !isThere) {
    if (count === 0 && ofMessage.size >= maxEmoji) {
      return {
        error: new InvalidInput([
          { path: ['emoji'], code: 'TOO_MANY', message: `the message already has ${maxEmoji} different emoji` },
        ]),
      };
    }
    ofMessage.set(verb.emoji, count + 1);
    now.set(keyOf(verb), target);
  }
  if (!verb.isAdded && isThere) {
    if (count > 1) ofMessage.set(verb.emoji, count - 1);
    else ofMessage.delete(verb.emoji);
    now.delete(keyOf(verb));
  }
  return { value: message };
}

/**
 * Reads the state of the reactions before any writes. Raw SQL, like `writeState`, because it is part of the group
 * commit.
 */
async function readState(client: Queryable, targets: readonly Target<Reaction>[]): Promise<State> {
  const state: State = { counts: new Map(), before: new Set(), now: new Map() };
  if (targets.length === 0) return state;
  const { rows } = await client.query<{ index: number; isThere: boolean; counts: Record<string, number> | null }>({
    name: 'reactions_before',
    text: `select w.index::int as index,
      exists (select from reactions r where (r.chat_id, r.seq, r.user_id, r.emoji)
        = (w.chat_id, w.seq, w.user_id, w.emoji)) as "isThere",
      (select jsonb_object_agg(c.emoji, c.count) from reaction_counts c
        where (c.chat_id, c.seq) = (w.chat_id, w.seq)) as counts
    from ${unnest('$1::bigint[]', '$2::int[]', '$3::bigint[]', '$4::text[]')} with ordinality
      as w (chat_id, seq, user_id, emoji, index)`,
    values: valuesOf(targets),
  });
  for (const { index, isThere, counts } of rows) {
    const target = targets[index - 1];
    if (target === undefined) continue;
    state.counts.set(target.message.id, new Map(Object.entries(counts ?? {})));
    if (!isThere) continue;
    state.before.add(keyOf(target.verb));
    state.now.set(keyOf(target.verb), target);
  }
  return state;
}

/** Deletes the removed reactions first, to make room within the limit of `maxEmoji` for the added reactions. */
async function writeState(client: Queryable, { before, now }: State, targets: readonly Target<Reaction>[]) {
  const byKey = new Map(targets.map((target) => [keyOf(target.verb), target]));
  const removed = [...byKey].flatMap(([key, target]) => (before.has(key) && !now.has(key) ? [target] : []));
  const added = [...now].flatMap(([key, target]) => (before.has(key) ? [] : [target]));
  if (removed.length > 0) {
    await client.query({
      name: 'delete_reactions',
      text: `delete from reactions r
      using ${unnest('$1::bigint[]', '$2::int[]', '$3::bigint[]', '$4::text[]')} as w (chat_id, seq, user_id, emoji)
      where (r.chat_id, r.seq, r.user_id, r.emoji) = (w.chat_id, w.seq, w.user_id, w.emoji)`,
      values: valuesOf(removed),
    });
  }
  if (added.length > 0) {
    await client.query({
      name: 'insert_reactions',
      text: `insert into reactions (chat_id, seq, user_id, emoji)
      select * from ${unnest('$1::bigint[]', '$2::int[]', '$3::bigint[]', '$4::text[]')}
      on conflict do nothing`,
      values: valuesOf(added),
    });
  }
}

/** Returns the values of the table's columns, as one list per column. */
function valuesOf(targets: readonly Target<Reaction>[]): unknown[] {
  return [
    targets.map(({ message }) => message.chatId),
    targets.map(({ message }) => message.seq),
    targets.map(({ verb }) => verb.asker.userId),
    targets.map(({ verb }) => verb.emoji),
  ];
}

function keyOf({ asker, messageId, emoji }: Reaction): string {
  return `${messageId} ${asker.userId} ${emoji}`;
}
