import type pg from 'pg';
import type { Asker } from '../core/asker.ts';
import { RateLimited } from '../errors.ts';
import type { LockedChat } from './group-commit.ts';
import type { ChatAccess } from './permission.ts';
import type { Queryable } from '../postgres/client.ts';
import { unnest } from '../postgres/unnest.ts';

/** The longest interval of slow mode: six hours. */
export const maxSlowModeSeconds = 21_600;

/** A message that an asker wants to send. */
type Sending = { asker: Asker; chatId: bigint };

/**
 * Enforces slow mode for a batch of messages. Owners and admins are exempt. The chats are locked, so even two messages
 * that are sent to different nodes at the same time are handled one after the other.
 */
export class SlowMode {
  readonly #secondsOf: ReadonlyMap<bigint, number>;
  /** The seconds since each sender's last message in each chat. */
  readonly #elapsed: Map<string, number>;
  readonly #taken = new Map<string, Sending>();

  private constructor(secondsOf: ReadonlyMap<bigint, number>, elapsed: Map<string, number>) {
    this.#secondsOf = secondsOf;
    this.#elapsed = elapsed;
  }

  /**
   * Queries the database only if a chat has slow mode, with one key lookup for each message. Raw SQL, because it is
   * part of the group commit.
   */
  static async read(
    client: Queryable,
    chats: ReadonlyMap<bigint, LockedChat>,
    sendings: readonly Sending[],
  ): Promise<SlowMode> {
    const secondsOf = new Map(
      [...chats.values()].flatMap(({ id, slowModeSeconds }) => (slowModeSeconds > 0 ? [[id, slowModeSeconds]] : [])),
    );
    const slowed = sendings.filter(({ chatId }) => secondsOf.has(chatId));
    if (slowed.length === 0) return new SlowMode(secondsOf, new Map());
    const { rows } = await client.query<{ chatId: bigint; userId: bigint; elapsed: number }>({
      name: 'slow_mode_turns',
      text: `select distinct t.chat_id as "chatId", t.user_id as "userId",
        extract(epoch from clock_timestamp() - t.sent_at)::float as elapsed
      from ${unnest('$1::bigint[]', '$2::bigint[]')} as w (chat_id, user_id)
      join slow_mode_turns t using (chat_id, user_id)`,
      values: [slowed.map(({ chatId }) => chatId), slowed.map(({ asker }) => asker.userId)],
    });
    return new SlowMode(secondsOf, new Map(rows.map((row) => [keyOf(row.chatId, row.userId), row.elapsed])));
  }

  /** Returns the error if this sender, with this access, must wait, or null if they may send now. */
  refuse({ asker, chatId }: Sending, { role }: ChatAccess): RateLimited | null {
    const seconds = this.#secondsOf.get(chatId) ?? 0;
    const elapsed = role === 'MEMBER' ? (this.#elapsed.get(keyOf(chatId, asker.userId)) ?? seconds) : seconds;
    if (elapsed >= seconds) return null;
    const wait = Math.min(seconds, Math.max(1, Math.ceil(seconds - elapsed)));
    return new RateLimited(`This chat is in slow mode: one message every ${seconds} seconds.`, wait);
  }

  /** Uses up the sender's turn. */
  take({ asker, chatId }: Sending, { role }: ChatAccess): void {
    if (role !== 'MEMBER' || !this.#secondsOf.has(chatId)) return;
    this.#elapsed.set(keyOf(chatId, asker.userId), 0);
    this.#taken.set(keyOf(chatId, asker.userId), { asker, chatId });
  }

  /** Records the turns that were used. Raw SQL, because it is part of the group commit. */
  async write(client: Queryable): Promise<void> {
    if (this.#taken.size === 0) return;
    const taken = [...this.#taken.values()];
    await client.query({
      name: 'take_slow_mode_turns',
      text: `insert into slow_mode_turns (chat_id, user_id)
      select * from ${unnest('$1::bigint[]', '$2::bigint[]')} order by 1, 2
      on conflict (chat_id, user_id) do update set sent_at = excluded.sent_at`,
      values: [taken.map(({ chatId }) => chatId), taken.map(({ asker }) => asker.userId)],
    });
  }
}

/**
 * Deletes up to `limit` turns that are older than the longest slow mode, and returns the number of deleted turns. Raw
 * SQL, for `skip locked`: nodes that prune at the same time do not wait for each other.
 */
export async function pruneSlowModeTurns(pool: pg.Pool, limit: number): Promise<number> {
  const { rowCount } = await pool.query(
    `with past as materialized (
      select chat_id, user_id from slow_mode_turns
      where sent_at < statement_timestamp() - $1::int * interval '1 second' limit $2 for update skip locked
    )
    delete from slow_mode_turns t using past where t.chat_id = past.chat_id and t.user_id = past.user_id`,
    [maxSlowModeSeconds, limit],
  );
  return rowCount ?? 0;
}

function keyOf(chatId: bigint, userId: bigint): string {
  return `${chatId} ${userId}`;
}
