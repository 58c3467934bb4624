import { inTransaction } from '../postgres/client.ts';
import { findAccount, Misuse, readArguments, type Account, type Command } from './command.ts';
import { imposeSuspension, liftSuspension, readSuspension } from './user-suspension.ts';
import { lockAccount } from './staff.ts';

const unitsMs: Record<string, number> = { m: 60_000, h: 3_600_000, d: 86_400_000 };

/** Suspends an account. */
export const suspend: Command = {
  usage: 'suspend EMAIL|USERNAME [--until 7d|2026-12-31T00:00:00Z] [--reason TEXT]',
  meaning: 'ends all sessions of an account and keeps it from signing in; without --until, until `unsuspend`',
  run: async ({ db }, args) => {
    const { texts, options } = readArguments(args, { texts: { min: 1, max: 1 }, options: ['until', 'reason'] });
    const account = await findAccount(db, texts[0] ?? '');
    const until = options.until === undefined ? null : readTime(options.until);
    const suspension = readSuspension({ userId: account.id, until, reason: options.reason ?? null }, null);
    await inTransaction(db, async (transaction) => {
      await lockAccount(transaction, account.id);
      await imposeSuspension(transaction, suspension, null);
    });
    return describe(account, until);
  },
};

/** Ends a suspension early. */
export const unsuspend: Command = {
  usage: 'unsuspend EMAIL|USERNAME',
  meaning: 'ends a suspension early',
  run: async ({ db }, args) => {
    const [name = ''] = readArguments(args, { texts: { min: 1, max: 1 } }).texts;
    const { id, username } = await findAccount(db, name);
    const wasSuspended = await inTransaction(db, (transaction) => liftSuspension(transaction, id));
    return wasSuspended ? `${username} is no longer suspended.` : `${username} was not suspended.`;
  },
};

/** Reads a point in time, or a duration from now. Throws Misuse. */
function readTime(text: string): Date {
  const [, count, unit = ''] = /^([1-9]\d{0,5})([mhd])$/.exec(text) ?? [];
  const unitMs = unitsMs[unit];
  const time = unitMs === undefined ? new Date(text) : new Date(Date.now() + Number(count) * unitMs);
  const isInstant = unitMs !== undefined || /^\d{4}-\d\d-\d\dT/.test(text);
  if (!isInstant || Number.isNaN(time.getTime())) {
    throw new Misuse('--until must be a duration such as 7d, or an instant such as 2026-12-31T00:00:00Z.');
  }
  return time;
}

function describe({ username }: Account, until: Date | null): string {
  return `${username} is suspended${until === null ? '' : ` until ${until.toISOString()}`}.`;
}
