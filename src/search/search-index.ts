import type { Report } from '../core/report.ts';
import type { RestFactors } from '../log/batch-pace.ts';
import { LogConsumer } from '../log/consumer.ts';
import { advisoryLocks } from '../postgres/advisory-lock.ts';
import { inTransaction, type Db, type Queryable } from '../postgres/client.ts';
import type { Lease, Leases } from '../postgres/lease.ts';
import { LeasedLoop } from '../postgres/leased-loop.ts';
import { indexNames, queueNames } from './name-index.ts';
import { printMessage, type IndexedMessage } from './search-token.ts';
import { unnest } from '../postgres/unnest.ts';

/** The maximum number of messages from one source, or of names of one kind, that a transaction indexes. */
const batchSize = 500;
/** The maximum number of chats from the backlog that share a transaction. */
const maxChats = 100;
/** The maximum time until a new message is noticed, in ms. */
const pollMs = 250;
/**
 * After a batch from the backlogs, or a full batch from the log, indexing pauses for three times as long as the batch
 * took. Each of these two sources therefore takes at most a quarter of a node's time. New messages are indexed more
 * slowly while the node is busy, but for no longer than 30 s. At 1,600 messages per second, indexing would otherwise take
 * a seventh of the CPU time for sending (bench:send).
 */
const rest: RestFactors = { usual: 3, busy: 15, maxBusyMs: 30_000 };

const indexedKinds = ['NewMessage', 'MessageEdited'];

/**
 * Keeps the search index up to date. One node at a time follows the log for messages and works through the backlogs,
 * which contain names of users and public channels, messages that were locked, and chats whose messages are being
 * indexed again. Indexing never waits for a row lock, so no open transaction can stop it.
 */
class SearchIndex {
  readonly #consumer: LogConsumer;
  readonly #backlog: LeasedLoop;

  constructor({ db, leases, report }: { db: Pick<Db, 'pool'>; leases: Leases; report: Report }) {
    this.#consumer = new LogConsumer({
      db,
      leases,
      report,
      name: 'search',
      startsAt: 'OLDEST',
      effect: { kinds: indexedKinds, writeMessages: indexEvents },
      reset: (client) => queueEverything(client),
      times: { poll: pollMs },
      batchSize,
      rest,
    });
    this.#backlog = new LeasedLoop({
      leases,
      name: 'search backlog',
      times: { poll: pollMs },
      step: (lease) => this.#work(db, lease),
      onFailure: (error, failures) => {
        if (failures === 1) report('warn', 'indexing old messages failed and will be retried', { error });
      },
    });
  }

  open(): void {
    this.#consumer.open();
    this.#backlog.open();
  }

  async close(): Promise<void> {
    await Promise.all([this.#consumer.close(), this.#backlog.close()]);
  }

  async #work(db: Pick<Db, 'pool'>, lease: Lease): Promise<false | { restMs: number }> {
    const startedAt = performance.now();
    const count = await indexBacklog(db, (client) => lease.fence(client));
    return count > 0 && { restMs: (performance.now() - startedAt) * rest.usual };
  }
}

/** Opens the search index. Disposing `started` closes it. */
export function openSearchIndex({
  started,
  ...parts
}: ConstructorParameters<typeof SearchIndex>[0] & { started: AsyncDisposableStack }): void {
  const index = new SearchIndex(parts);
  index.open();
  started.defer(() => index.close());
}

/** Adds every chat and every name to the backlogs. */
export async function queueEverything(client: Queryable): Promise<void> {
  await client.query(`insert into search_chat_backlog (chat_id, wanted_at) select id, last_activity_at from chats
    on conflict (chat_id) do update set below_seq = null, wanted_at = excluded.wanted_at`);
  await queueNames(client);
}

/**
 * Indexes the next batch of the backlogs in one transaction. Returns the number of messages, chats and names that it
 * finished, or 0 if there is nothing that it can index at the moment.
 */
export async function indexBacklog(
  db: Pick<Db, 'pool'>,
  fence: (client: Queryable) => Promise<unknown> = async () => undefined,
): Promise<number> {
  // The backlogs are nearly always empty, so check that before beginning a transaction.
  const { rows } = await db.pool.query<{ isEmpty: boolean }>({
    name: 'search_backlogs',
    text: `select not exists (select from search_backlog) and not exists (select from search_chat_backlog)
      and not exists (select from search_user_backlog) and not exists (select from search_channel_backlog) as "isEmpty"`,
  });
  if (rows[0]?.isEmpty !== false) return 0;
  return inTransaction(db, async (client) => {
    await fence(client);
    await takeTurn(client);
    const names = await indexNames(client, batchSize);
    const messages = await retryMessages(client);
    return names + messages + (await indexChats(client));
  });
}

/** Makes each batch see what earlier batches have committed, such as that a chat is public now. */
async function takeTurn(client: Queryable): Promise<void> {
  await client.query({
    name: 'search_turn',
    text: 'select pg_advisory_xact_lock($1)',
    values: [advisoryLocks['search index']],
  });
}

async function indexEvents(client: Queryable, ids: bigint[]): Promise<void> {
  await takeTurn(client);
  await indexMessages(client, ids);
}

/**
 * Indexes these messages. Messages that another transaction is changing go to the backlog, and the entries of deleted
 * messages are removed. Returns the number of messages that it indexed.
 */
async function indexMessages(client: Queryable, ids: readonly bigint[]): Promise<number> {
  if (ids.length === 0) return 0;
  // The lock prevents a message from being deleted or edited until its entry is committed; a later deletion then also
  // deletes the entry.
  const { rows } = await client.query<IndexedMessage>({
    name: 'messages_to_index',
    text: `select m.id, m.chat_id as "chatId", c.type = 'PUBLIC_CHANNEL' as "isPublic", m.sender_id as "senderId",
      m.content, m.file_count > 0 as "hasFile", m.file_count > 0 and exists (
        select from files f join blobs b on b.hash = f.blob_hash
        where f.message_id = m.id and b.content_type like 'image/%') as "hasPicture"
    from messages m join chats c on c.id = m.chat_id
    where m.id = any ($1) and m.deleted_at is null
    order by m.id for share of m skip locked`,
    values: [ids],
  });
  await client.query({
    name: 'index_messages',
    text: `insert into search_entries (message_id, tokens) select * from ${unnest('$1::bigint[]', '$2::text[]')}
    on conflict (message_id) do update set tokens = excluded.tokens where search_entries.tokens <> excluded.tokens`,
    values: [rows.map(({ id }) => id), rows.map(printMessage)],
  });
  const indexed = new Set(rows.map(({ id }) => id));
  const skipped = ids.filter((id) => !indexed.has(id));
  if (skipped.length > 0) {
    await client.query({
      name: 'skip_messages',
      text: `with gone as (
        delete from search_entries e where message_id = any ($1)
          and not exists (select from messages m where m.id = e.message_id and m.deleted_at is null)
      )
      insert into search_backlog (message_id)
      select id from messages where id = any ($1) and deleted_at is null`,
      values: [skipped],
    });
  }
  return indexed.size;
}

async function retryMessages(client: Queryable): Promise<number> {
  const { rows } = await client.query<{ id: bigint }>({
    name: 'retry_messages',
    text: `delete from search_backlog where place = any (array(select place from search_backlog order by place limit $1))
    returning message_id as id`,
    values: [batchSize],
  });
  return indexMessages(client, [...new Set(rows.map(({ id }) => id))]);
}

/**
 * Indexes the next messages of the chats in the backlog. Returns the number of messages indexed plus the number of
 * chats finished.
 */
async function indexChats(client: Queryable): Promise<number> {
  const { rows: chats } = await client.query<{ chatId: bigint; belowSeq: number | null }>({
    name: 'chats_to_index',
    text: `select chat_id as "chatId", below_seq as "belowSeq" from search_chat_backlog
    order by wanted_at desc limit $1 for update skip locked`,
    values: [maxChats],
  });
  if (chats.length === 0) return 0;
  const { rows: messages } = await client.query<{ id: bigint; chatId: bigint; seq: number }>({
    name: 'chat_messages_to_index',
    text: `select m.id, chat.id as "chatId", m.seq
    from ${unnest('$1::bigint[]', '$2::int[]')} with ordinality as chat (id, below, place)
    cross join lateral (
      select id, seq from messages where chat_id = chat.id and (chat.below is null or seq < chat.below)
      order by seq desc limit $3) m
    order by chat.place, m.seq desc limit $3`,
    values: [chats.map(({ chatId }) => chatId), chats.map(({ belowSeq }) => belowSeq), batchSize],
  });
  const last = messages.length < batchSize ? undefined : messages.at(-1);
  await indexMessages(
    client,
    messages.map(({ id }) => id),
  );
  // If the batch is full, the last chat may have more messages, and the chats after it have not been started.
  const finished =
    last === undefined
      ? chats
      : chats.slice(
          0,
          chats.findIndex(({ chatId }) => chatId === last.chatId),
        );
  await client.query({
    name: 'chats_are_indexed',
    text: `with finished as (delete from search_chat_backlog where chat_id = any ($1::bigint[]))
    update search_chat_backlog set below_seq = $3 where chat_id = $2`,
    values: [finished.map(({ chatId }) => chatId), last?.chatId ?? null, last?.seq ?? null],
  });
  return messages.length + finished.length;
}
