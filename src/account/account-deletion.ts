import { randomBytes } from 'node:crypto';
import { allowMinutes, inTransaction, type Db, type Transaction } from '../postgres/client.ts';
import type { ErasedMessages } from '../postgres/generated/prisma/client.ts';
import { InvalidInput, type FieldError } from '../errors.ts';
import type { Accounts } from './account.ts';
import { lockCredentials, requireOwnCredentials } from './credentials.ts';
import { checkGivenProof, requireProof } from './proof.ts';
import { endSessions } from './session.ts';
import type { Asker } from '../core/asker.ts';

/**
 * Erases the asker's account. After the commit, all of the account's sessions have ended, and its username, email
 * address and password are deleted, so other users can take the username and the email address. Call
 * `continueDeletions` next: it ends the memberships, removes the reactions and the files, and detaches the messages
 * from the user or turns them into tombstones. For an account without a password, `password` is a recent token
 * (proof.ts). Throws InvalidCredentials for a wrong password, RateLimited after too many wrong ones, and InvalidInput
 * for a string that cannot be a password.
 */
export async function deleteAccount(
  accounts: Accounts,
  asker: Asker,
  { password, messages }: { password: string | null; messages: ErasedMessages },
): Promise<void> {
  const user = await requireOwnCredentials(accounts.db, asker);
  const proof = { user, secret: password };
  const errors: FieldError[] = [];
  checkGivenProof(proof, ['password'], errors);
  if (errors.length > 0) throw new InvalidInput(errors);
  await requireProof(accounts, asker, proof);

  const endedIds = await inTransaction(
    accounts.db,
    async (transaction) => {
      await lockCredentials(transaction, user);
      return beginErasure(transaction, user.id, messages);
    },
    asker,
  );
  for (const id of endedIds) accounts.sessions.forget(id);
}

/**
 * Erases the profile, the credentials and the sessions of a user, inside a transaction that has locked the user's row;
 * `continueDeletions` removes the rest. Returns the ids of the sessions that it ended.
 */
export async function beginErasure(
  transaction: Transaction,
  userId: bigint,
  messages: ErasedMessages,
): Promise<bigint[]> {
  await eraseProfile(transaction, userId);
  await transaction.prisma.accountDeletion.create({ data: { userId, messages } });
  return endSessions(transaction, { userId });
}

/** Erases the personal data in the user's row. The row itself remains for as long as something refers to it. */
async function eraseProfile(transaction: Transaction, userId: bigint): Promise<void> {
  const pseudonym = randomBytes(16).toString('hex');
  // Overwrites the profile. Raw SQL, because `deleted_at` comes from the database's clock, like the other times in the
  // row.
  await transaction.query(
    `update users set deleted_at = clock_timestamp(), username = 'erased_' || $2, email = $2 || '@erased.invalid',
      display_name = null, avatar_file_id = null, key = null, custom = '{}'
    where id = $1`,
    [userId, pseudonym],
  );
  await transaction.prisma.credentials.deleteMany({ where: { userId } });
  // A trigger invalidates the tokens that other systems have already issued for the user.
  await transaction.prisma.identity.deleteMany({ where: { userId } });
  await transaction.prisma.claimedPicture.deleteMany({ where: { userId } });
  await transaction.prisma.block.deleteMany({ where: { blockerId: userId } });
  await transaction.prisma.mail.deleteMany({ where: { userId } });
  await transaction.prisma.mailCode.deleteMany({ where: { userId } });
}

/** One step of an erasure: removes up to `limit` of the user's rows, and returns how many it removed. */
type Step = (transaction: Transaction, userId: bigint, limit: number) => Promise<number>;

/** Ends the memberships first, because the user cannot create any new data after that. */
const steps: Record<ErasedMessages, Step[]> = {
  KEEP: [endMemberships, takeBackReactions, dropMentions, dropAvatars, deleteFiles, disownMessages],
  DELETE: [endMemberships, takeBackReactions, dropMentions, dropAvatars, deleteFiles, deleteMessages],
};

/**
 * Processes one batch of about `limit` rows of a pending erasure. Any node may have begun the erasure, so the other
 * nodes finish the work of a crashed node. Returns `limit` while more work is pending, and 0 once no work is left.
 * Concurrent nodes work on different erasures.
 */
export async function continueDeletions({ db }: { db: Db }, limit: number): Promise<number> {
  return inTransaction(db, async (transaction) => {
    // Claims a random erasure, so that an erasure that is stuck (because one of the user's chats is locked) does not
    // delay the others. Raw SQL, because Prisma cannot express `skip locked`.
    const { rows } = await transaction.query<{ userId: bigint; messages: ErasedMessages }>(
      `select user_id as "userId", messages from account_deletions order by random() limit 1 for update skip locked`,
    );
    const [deletion] = rows;
    if (deletion === undefined) return 0;
    await transaction.query(`set local lock_timeout = '5s'`);
    // When the last member of a chat is removed, all of its messages are deleted too.
    await allowMinutes(transaction);
    for (const step of steps[deletion.messages]) {
      if ((await step(transaction, deletion.userId, limit)) > 0) return limit;
    }
    await deleteUser(transaction, deletion.userId);
    return limit;
  });
}

/** Ends the user's memberships. A trigger transfers the ownership of their chats. */
async function endMemberships(transaction: Transaction, userId: bigint, limit: number): Promise<number> {
  // Locks the chats before their members, as all code does. Raw SQL, because Prisma cannot lock rows.
  const { rows } = await transaction.query<{ id: bigint }>(
    `select c.id from chats c join members m on m.chat_id = c.id and m.user_id = $1
    order by c.id limit $2 for no key update of c`,
    // Takes only a tenth of the limit, because each ended membership creates an event for all members of its chat.
    [userId, Math.ceil(limit / 10)],
  );
  if (rows.length > 0) {
    await transaction.prisma.member.deleteMany({ where: { userId, chatId: { in: rows.map(({ id }) => id) } } });
  }
  return rows.length;
}

async function takeBackReactions(transaction: Transaction, userId: bigint, limit: number): Promise<number> {
  // Locks the messages before it deletes their reactions, as all code that changes a message's rows does. Raw SQL,
  // because Prisma cannot lock rows.
  const { rowCount } = await transaction.query(
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

async function dropMentions({ prisma }: Transaction, userId: bigint, limit: number): Promise<number> {
  const { count } = await prisma.mention.deleteMany({ where: { userId }, limit });
  return count;
}

/** Removes the avatars that the user set for chats. */
async function dropAvatars(transaction: Transaction, userId: bigint, limit: number): Promise<number> {
  // Locks the chats before the files, as all code that changes an avatar does. Raw SQL, because Prisma cannot lock
  // rows.
  const { rowCount } = await transaction.query(
    `with few as materialized (
      select c.id from files f join chats c on c.avatar_file_id = f.id
      where f.uploader_id = $1 and f.is_avatar order by c.id limit $2 for no key update of c
    )
    update chats c set avatar_file_id = null from few where c.id = few.id`,
    [userId, Math.ceil(limit / 10)],
  );
  return rowCount ?? 0;
}

/** Deletes the user's files. The sweep deletes their bytes if no other file refers to them. */
async function deleteFiles({ prisma }: Transaction, userId: bigint, limit: number): Promise<number> {
  const { count } = await prisma.file.deleteMany({ where: { uploaderId: userId }, limit });
  return count;
}

/**
 * Keeps the messages, but removes their sender and the data that the sender's client added: clientMessageId and custom
 * data.
 */
async function disownMessages(transaction: Transaction, userId: bigint, limit: number): Promise<number> {
  // Locks the messages in the order of their ids, as all code does. Raw SQL, because Prisma cannot lock rows.
  const { rowCount } = await transaction.query(
    `with few as materialized (
      select id from messages where sender_id = $1 order by id limit $2 for no key update
    )
    update messages m set sender_id = null, client_message_id = null, request_hash = null, custom = '{}'
    from few where m.id = few.id`,
    [userId, limit],
  );
  return rowCount ?? 0;
}

/**
 * Turns the messages into tombstones, as when a message is deleted. Each deletion creates an event for all members of
 * its chat.
 */
async function deleteMessages(transaction: Transaction, userId: bigint, limit: number): Promise<number> {
  // Locks the messages in the order of their ids, as all code does. Raw SQL, because Prisma cannot lock rows.
  const { rows } = await transaction.query<{ id: bigint }>(
    'select id from messages where sender_id = $1 order by id limit $2 for no key update',
    [userId, Math.ceil(limit / 10)],
  );
  if (rows.length > 0) {
    const where = { id: { in: rows.map(({ id }) => id) } };
    await transaction.prisma.message.deleteMany({ where });
    await transaction.prisma.message.updateMany({
      where,
      data: { senderId: null, clientMessageId: null, requestHash: null },
    });
  }
  return rows.length;
}

/** Deletes the user's row, unless a new row now refers to it. In that case, the steps start over. */
async function deleteUser(transaction: Transaction, userId: bigint): Promise<void> {
  // Locks the row, so that no new row can start to refer to it. This is a separate statement, so that the next
  // statement sees every row that was written before the lock.
  await transaction.query('select from users where id = $1 for update', [userId]);
  // Deletes the row. Raw SQL, because Prisma would read all members and all messages to check the two conditions.
  await transaction.query(
    `delete from users where id = $1
      and not exists (select from members where user_id = $1)
      and not exists (select from messages where sender_id = $1)`,
    [userId],
  );
}
