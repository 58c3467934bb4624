import type { Program } from '../core/asker.ts';
import { coversRole } from '../core/server-role.ts';
import { Forbidden, NotFound } from '../errors.ts';
import { inTransaction, type Queryable } from '../postgres/client.ts';
import type { ServerRole, UserKind } from '../postgres/generated/prisma/client.ts';
import { handOver, openSession, type Sessions, type SignedIn } from './session.ts';

/**
 * Opens a session for a user that a program has signed in, and returns the tokens, which the program passes on to the
 * user. The caller must have checked that the key has ACT_AS. Throws NotFound if the user does not exist, and Forbidden
 * if the program acts as a user, or if the user is a bot, is suspended (with the end and the reason), or is on the
 * staff with a role that the key's scopes do not cover.
 */
export async function createUserSession(
  sessions: Sessions,
  program: Program,
  { userId, userAgent }: { userId: bigint; userAgent: string | null },
): Promise<SignedIn> {
  if (program.userId !== null && program.isActing)
    throw new Forbidden('A program that acts as a user opens no sessions.');
  const opened = await inTransaction(
    sessions.db,
    async (client) => {
      const { kind, role } = await lockUser(client, userId);
      if (kind === 'BOT')
        throw new Forbidden('A bot never signs in, because a program speaks for it with its API key.');
      if (!coversRole(program, role))
        throw new Forbidden("This API key lacks the scope for a session of the server's staff.");
      // Writes the audit entry here, because a trigger on sessions would also record the sessions that users open.
      await client.query(`select write_audit_entry('CREATE_USER_SESSION', 'User', $1, '{}')`, [String(userId)]);
      return openSession(client, { userId, userAgent });
    },
    program,
  );
  return handOver(sessions, opened);
}

/** Raw SQL, because Prisma cannot lock rows. */
async function lockUser(client: Queryable, userId: bigint): Promise<{ kind: UserKind; role: ServerRole }> {
  const { rows } = await client.query<{ kind: UserKind; role: ServerRole }>(
    'select kind, server_role as role from users where id = $1 and deleted_at is null for no key update',
    [userId],
  );
  if (rows[0] === undefined) throw new NotFound('There is no such user.');
  return rows[0];
}
