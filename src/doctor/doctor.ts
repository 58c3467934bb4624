import type { SmtpServer } from '../mail/smtp-server.ts';
import type { StoreSettings } from '../file/store/open.ts';
import type { RedisTarget } from '../redis/redis-url.ts';
import { ok, printFindings, runCheck, type Check } from './check.ts';
import { databaseChecks, type DatabasePlace } from './database-check.ts';
import { mailCheck } from './mail-check.ts';
import { machineChecks } from './machine-check.ts';
import { redisCheck } from './redis-check.ts';

/** What is checked. `database` is null while the embedded PostgreSQL is not running. */
export type Patient = StoreSettings & {
  database: DatabasePlace | null;
  redis: RedisTarget | null;
  maxConnections: number;
  smtpUrl: SmtpServer | null;
};

/**
 * Runs every check, one after the other, and prints one line for each finding. Resolves to true if no finding is a
 * FAIL. No line contains a secret.
 */
export async function examine(patient: Patient, print: (lines: string) => void): Promise<boolean> {
  let isFit = true;
  for (const check of listChecks(patient)) {
    const findings = await runCheck(check);
    print(printFindings(check, findings));
    isFit &&= findings.every(({ level }) => level !== 'FAIL');
  }
  return isFit;
}

function listChecks({ database, redis, smtpUrl, ...machine }: Patient): Check[] {
  const asleep: Check = {
    name: 'database',
    run: async () => [ok('the embedded PostgreSQL is not running: `npm start` starts it')],
  };
  const ofDatabase = database === null ? [asleep] : databaseChecks(database);
  return [...ofDatabase, redisCheck(redis), ...machineChecks(machine), mailCheck(smtpUrl)];
}
