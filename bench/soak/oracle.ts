import type pg from 'pg';
import type { Follower, Received } from './follower.ts';

type Row = {
  id: string;
  kind: string;
  audience: string;
  chatId: string | null;
  userId: string | null;
  messageId: string | null;
  userIds: string[] | null;
};

/**
 * A stream, the events that it has received beyond the part of the log that was read, and the events that it seems to
 * have missed.
 */
type Account = {
  follower: Follower;
  from: number;
  checked: number;
  pending: Received[];
  suspects: Row[];
};

/**
 * Reads the log in order over its own connection, and works out who must receive each event (for example, the members
 * of the chat at that point). Compares the result with the events that each stream receives.
 */
export class Oracle {
  readonly faults: string[] = [];
  position = 0;
  checkedCount = 0;
  readonly #sql: pg.Pool;
  readonly #members = new Map<string, Set<string>>();
  /** For each chat and user, the last event before the user was removed. */
  readonly #endings = new Map<string, number>();
  readonly #accounts: Account[] = [];
  /** The events that have been read from the log and that some streams have not reached yet. */
  #rows: { row: Row; receivers: ReadonlySet<string> }[] = [];

  constructor(sql: pg.Pool) {
    this.#sql = sql;
  }

  /** Memberships must not change in the meantime. No memberships may change in the meantime. */
  async open(): Promise<void> {
    const { rows } = await this.#sql.query<{ chatId: string; userIds: string[]; head: string }>(
      `select chat_id::text as "chatId", array_agg(user_id::text) as "userIds",
        (select coalesce(max(id), 0)::text from events) as head
      from members group by chat_id`,
    );
    for (const { chatId, userIds } of rows) this.#members.set(chatId, new Set(userIds));
    this.position = Number(rows[0]?.head ?? 0);
  }

  /** Starts watching a stream that is about to open. */
  watch(open: (report: { event: (event: Received) => void; fault: (text: string) => void }) => Follower): Follower {
    const pending: Received[] = [];
    const fault = (text: string) => this.#complain(`user ${account.follower.userId}: ${text}`);
    const event = (received: Received) => void pending.push(received);
    const account: Account = {
      follower: open({ event, fault }),
      from: Infinity,
      checked: this.position,
      pending,
      suspects: [],
    };
    this.#accounts.push(account);
    return account.follower;
  }

  /** Declares all streams live. From now on, they must receive everything. */
  begin(): void {
    for (const account of this.#accounts) account.from = this.position;
  }

  /** Reads the new part of the log, and checks the events that have arrived. Rejects if the database is down. */
  async check(): Promise<void> {
    const { rows } = await this.#sql.query<Row>(
      `select id::text, kind, audience::text, chat_id::text as "chatId", user_id::text as "userId",
        message_id::text as "messageId", array(select jsonb_array_elements_text(detail->'user_ids')) as "userIds"
      from events where id > $1 order by events.id limit 5000`,
      [this.position],
    );
    for (const row of rows) {
      this.#rows.push({ row, receivers: this.#receiversOf(row) });
      this.position = Number(row.id);
    }
    for (const account of this.#accounts) this.#settle(account);
    const behind = Math.min(...this.#accounts.map(({ checked }) => checked));
    this.#rows = this.#rows.filter(({ row }) => Number(row.id) > behind);
  }

  /**
   * Reports the events that are missing, except for those that the reader lost the right to see. Call this once
   * everything should have arrived.
   */
  async finish(): Promise<void> {
    await this.check();
    const { rows } = await this.#sql.query<{ id: string }>(
      'select id::text from messages where deleted_at is not null',
    );
    const deleted = new Set(rows.map(({ id }) => id));
    for (const { follower, suspects } of this.#accounts) {
      for (const { id, kind, chatId, messageId } of suspects) {
        // A user may miss events that precede the end of a membership, and reactions to a message that was deleted.
        const end = this.#endings.get(`${chatId} ${follower.userId}`) ?? 0;
        const isGone = messageId !== null && deleted.has(messageId) && kind === 'ReactionsChanged';
        if (Number(id) > end && !isGone) this.#complain(`user ${follower.userId} did not receive ${kind} at ${id}`);
      }
    }
  }

  #settle(account: Account): void {
    const { follower, pending } = account;
    const end = Math.min(this.position, follower.position);
    const arrived = new Map<number, string>();
    while (pending[0] !== undefined && pending[0].id <= end) {
      const { id, kind } = pending.shift() as Received;
      arrived.set(id, kind);
    }
    for (const { row, receivers } of this.#rows) {
      const id = Number(row.id);
      if (id <= account.checked || id > end) continue;
      const kind = arrived.get(id);
      arrived.delete(id);
      const mayReceive = receivers.has(follower.userId);
      this.checkedCount += 1;
      if (kind !== undefined && !mayReceive) this.#complain(`user ${follower.userId} received ${kind} at ${id}`);
      if (kind !== undefined && kind !== row.kind) this.#complain(`${row.kind} at ${id} arrived as ${kind}`);
      if (kind === undefined && mayReceive && id > account.from) account.suspects.push(row);
    }
    for (const [id, kind] of arrived) {
      if (id > account.from)
        this.#complain(`user ${follower.userId} received ${kind} at ${id}, which is not in the log`);
    }
    account.checked = Math.max(account.checked, end);
  }

  #receiversOf({ id, kind, audience, chatId, userId, userIds }: Row): ReadonlySet<string> {
    const members = this.#members.get(chatId ?? '') ?? new Set<string>();
    if (kind === 'AddToChat') for (const added of userIds ?? []) members.add(added);
    const receivers = new Set<string>();
    if (audience === 'CHAT' || audience === 'CHAT_AND_PERSON') for (const member of members) receivers.add(member);
    if ((audience === 'PERSON' || audience === 'CHAT_AND_PERSON') && userId !== null) receivers.add(userId);
    if (audience === 'ACQUAINTANCES' && userId !== null) {
      for (const others of this.#members.values()) {
        if (others.has(userId)) for (const other of others) receivers.add(other);
      }
    }
    if (kind === 'RemoveFromChat' && userId !== null) {
      members.delete(userId);
      // The RemoveFromChat event itself must arrive.
      this.#endings.set(`${chatId} ${userId}`, Number(id) - 1);
    }
    return receivers;
  }

  #complain(text: string): void {
    if (this.faults.length < 100) this.faults.push(text);
  }
}
