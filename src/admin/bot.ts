import { checkNewUsername } from '../account/username.ts';
import type { Caller } from '../core/asker.ts';
import type { Scope } from '../core/scope.ts';
import { maxNameLength, readName } from '../core/text.ts';
import { Conflict, InvalidInput, type FieldError } from '../errors.ts';
import { inTransaction, type Db, type Queryable } from '../postgres/client.ts';
import { checkScopes, creatorOf, insertApiKey, requireOwnScopes, type CreatedApiKey } from './api-key.ts';
import { lockStaff } from './staff.ts';

/** A bot to be created. `scopes`: what the bot's key may do, beyond what any member of a chat may do. */
export type NewBot = { username: string; displayName: string | null; scopes: readonly Scope[] };

/**
 * Creates a bot with its key. For admins, and for programs with the scope ADMIN, which can grant only scopes that their
 * own key has. Throws InvalidInput, Forbidden, and Conflict if the username is taken.
 */
export async function createBot(db: Db, caller: Caller, input: NewBot): Promise<CreatedApiKey> {
  const bot = readNewBot(input);
  return inTransaction(
    db,
    async (transaction) => {
      await lockStaff(transaction, caller, 'manageApiKeys');
      requireOwnScopes(caller, bot.scopes);
      const botId = await insertBot(transaction, bot);
      const { username: name, scopes } = bot;
      const creatorId = await creatorOf(transaction, caller);
      return insertApiKey(transaction, { name, scopes, expiresAt: null, botId, creatorId });
    },
    caller,
  );
}

function readNewBot({ username, displayName, scopes }: NewBot): NewBot {
  const errors: FieldError[] = [];
  checkNewUsername(username, errors);
  const line = displayName === null ? null : readName(displayName, ['displayName'], maxNameLength, errors);
  checkScopes(scopes, errors);
  if (errors.length > 0) throw new InvalidInput(errors);
  return { username, displayName: line, scopes };
}

/**
 * Inserts the bot. Raw SQL, because Prisma cannot express `on conflict`. Without it, a taken name would fail the
 * transaction.
 */
async function insertBot(client: Queryable, { username, displayName }: NewBot): Promise<bigint> {
  const { rows } = await client.query<{ id: bigint }>(
    `insert into users (username, display_name, kind) values ($1, $2, 'BOT') on conflict do nothing returning id`,
    [username, displayName],
  );
  if (rows[0] === undefined) throw new Conflict('The username is taken.', ['username']);
  return rows[0].id;
}
