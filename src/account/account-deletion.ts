import { randomBytes } from 'node:crypto';
import { inTransaction, type Db, type Queryable } from '../postgres/client.ts';
import type { ErasedMessages } from '../postgres/generated/prisma/client.ts';
import { InvalidCredentials, InvalidInput, Unauthenticated, type FieldError } from '../errors.ts';
import type { Accounts } from './account.ts';
import { findCredentials, lockCredentials, verifyAgain } from './credentials.ts';
import { checkGivenPassword } from './password.ts';
import type { Asker } from '../core/asker.ts';

/**
 * Erases the viewer's account. From its commit on all sessions are over, and name, address and password are gone: others
 * may take them. What the person left behind is taken away by `continueDeletions`, which is to be called next: it ends
 * their memberships, takes back their reactions, takes away their files, and leaves their messages under no name or makes
 * tombstones of them.
 * Throws InvalidCredentials when the password is not right, RateLimited after too many wrong ones, InvalidInput for what
 * can be no password.
 */
export async function deleteAccount(
  accounts: Accounts,
  asker: Asker,
  { password, messages }: { password: string; messages: ErasedMessages },
): Promise<void> {
  const errors: FieldError[] = [];
  checkGivenPassword(password, ['password'], errors);
  if (errors.length > 0) throw new InvalidInput(errors);
  const user = await findCredentials(accounts.db, 'u.id = $1', asker.userId);
  if (user === null) throw new Unauthenticated('The account has been deleted.');
  const { isRight } = await verifyAgain(accounts, asker, { hash: user.passwordHash, password });
  if (!isRight) throw new InvalidCredentials('The password is wrong.');

  const endedIds = await inTransaction(accounts.db, async (client) => {
    await lockCredentials(client, user);
    await forgetPerson(client, user.id);
    await client.query('insert into account_deletions (user_id, messages) values ($1, $2)', [user.id, messages]);
    const { rows } = await client.query<{ id: bigint }>('delete from sessions where user_id = $1 returning id', [
      user.id,
    ]);
    return rows.map(({ id }) => id);
  });
  for (const id of endedIds) accounts.sessions.forget(id);
}

/** The row stays for as long as something points at it, and says nothing of anybody. */
async function forgetPerson(client: Queryable, userId: bigint): Promise<void> {
  const nobody = randomBytes(16).toString('hex');
  await client.query(
    `update users set deleted_at = clock_timestamp(), username = 'erased_' || $2, email = $2 || '@erased.invalid',
      display_name = null, avatar_file_id = null
    where id = $1`,
    [userId, nobody],
  );
  await client.query('delete from credentials where user_id = $1', [userId]);
  await client.query('delete from blocks where blocker_id = $1', [userId]);
}

/** One step of an erasure: takes away up to so many of the person's things and says how many it took. */
type Step = (client: Queryable, userId: bigint, limit: number) => Promise<number>;

/** In this order: who is in no chat any more can't leave anything new behind. */
const steps: Record<ErasedMessages, Step[]> = {
  KEEP: [endMemberships, takeBackReactions, dropMentions, dropAvatars, deleteFiles, disownMessages],
  DELETE: [endMemberships, takeBackReactions, dropMentions, dropAvatars, deleteFiles, deleteMessages],
};

/**
 * Does one batch of about `limit` of what is left to do of an erasure, on whichever node it was asked for, and also when
 * that node has crashed meanwhile. Answers `limit` as long as there is more to do, then 0. Two nodes do different ones.
 */
export async function continueDeletions({ db }: { db: Db }, limit: number): Promise<number> {
  return inTransaction(db, async (client) => {
    // Any of them: one that can't go on (somebody holds a chat of theirs) must not keep the others waiting.
    const { rows } = await client.query<{ userId: bigint; messages: ErasedMessages }>(
      `select user_id as "userId", messages from account_deletions order by random() limit 1 for update skip locked`,
    );
    const [deletion] = rows;
    if (deletion === undefined) return 0;
    // A chat of millions of messages, whose last member this is, takes minutes to go.
    await client.query(`set local lock_timeout = '5s'; set local statement_timeout = '15min'`);
    for (const step of steps[deletion.messages]) {
      if ((await step(client, deletion.userId, limit)) > 0) return limit;
    }
    await deletePerson(client, deletion.userId);
    return limit;
  });
}

/** Chats first and then their members, as everybody does. Who owns them then, the database settles. */
async function endMemberships(client: Queryable, userId: bigint, limit: number): Promise<number> {
  const { rows } = await client.query<{ id: bigint }>(
    `select c.id from chats c join members m on m.chat_id = c.id and m.user_id = $1
    order by c.id limit $2 for no key update of c`,
    // Each is told to everybody in the chat.
    [userId, Math.ceil(limit / 10)],
  );
  if (rows.length > 0) {
    await client.query('delete from members where user_id = $1 and chat_id = any ($2)', [
      userId,
      rows.map(({ id }) => id),
    ]);
  }
  return rows.length;
}

/** The messages first, as everybody does who changes what hangs on them. */
async function takeBackReactions(client: Queryable, userId: bigint, limit: number): Promise<number> {
  const { rowCount } = await client.query(
    `with few as materialized (
      select chat_id, seq, emoji from reactions where user_id = $1 limit $2
    ), held as materialized (
      select m.id from messages m where (m.chat_id, m.seq) in (select chat_id, seq from few)
      order by m.id for no key update
    )
    delete from reactions r using few, (select count(*) from held) all_held
    where r.chat_id = few.chat_id and r.seq = few.seq and r.emoji = few.emoji and r.user_id = $1`,
    [userId, limit],
  );
  return rowCount ?? 0;
}

async function dropMentions(client: Queryable, userId: bigint, limit: number): Promise<number> {
  const { rowCount } = await client.query(
    `delete from mentions where user_id = $1
      and (chat_id, seq) in (select chat_id, seq from mentions where user_id = $1 limit $2)`,
    [userId, limit],
  );
  return rowCount ?? 0;
}

/** What they gave to chats. The chats first and then the files, as everybody does who changes an avatar. */
async function dropAvatars(client: Queryable, userId: bigint, limit: number): Promise<number> {
  const { rowCount } = await client.query(
    `with few as materialized (
      select c.id from files f join chats c on c.avatar_file_id = f.id
      where f.uploader_id = $1 and f.is_avatar order by c.id limit $2 for no key update of c
    )
    update chats c set avatar_file_id = null from few where c.id = few.id`,
    [userId, Math.ceil(limit / 10)],
  );
  return rowCount ?? 0;
}

/** Their bytes are swept when nobody else refers to them. */
async function deleteFiles(client: Queryable, userId: bigint, limit: number): Promise<number> {
  const { rowCount } = await client.query(
    'delete from files where id in (select id from files where uploader_id = $1 limit $2)',
    [userId, limit],
  );
  return rowCount ?? 0;
}

/** They stay, under no name; what the sender called them goes too. */
async function disownMessages(client: Queryable, userId: bigint, limit: number): Promise<number> {
  const { rowCount } = await client.query(
    `with few as materialized (
      select id from messages where sender_id = $1 order by id limit $2 for no key update
    )
    update messages m set sender_id = null, client_message_id = null, request_hash = null
    from few where m.id = few.id`,
    [userId, limit],
  );
  return rowCount ?? 0;
}

/** Tombstones are left, as of any message. Each is told to everybody in its chat. */
async function deleteMessages(client: Queryable, userId: bigint, limit: number): Promise<number> {
  const { rows } = await client.query<{ id: bigint }>(
    'select id from messages where sender_id = $1 order by id limit $2 for no key update',
    [userId, Math.ceil(limit / 10)],
  );
  if (rows.length > 0) {
    const ids = rows.map(({ id }) => id);
    await client.query('delete from messages where id = any ($1)', [ids]);
    await client.query(
      'update messages set sender_id = null, client_message_id = null, request_hash = null where id = any ($1)',
      [ids],
    );
  }
  return rows.length;
}

/** The account's row goes, unless something came to point at it in the last moment: then the steps begin anew. */
async function deletePerson(client: Queryable, userId: bigint): Promise<void> {
  // Nothing can come to point at it any more. In a statement of its own, so that the next one sees what just came.
  await client.query('select from users where id = $1 for update', [userId]);
  await client.query(
    `delete from users where id = $1
      and not exists (select from members where user_id = $1)
      and not exists (select from messages where sender_id = $1)`,
    [userId],
  );
}
