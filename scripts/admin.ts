/**
 * `npm run -s admin -- COMMAND`: runs an admin command directly against the database, even if no server is running.
 * Reads only the server settings that it needs.
 */
import { join } from 'node:path';
import process from 'node:process';
import { Misuse } from '../src/admin/command.ts';
import { describeCommands, findCommand } from '../src/admin/command-table.ts';
import { readCommandConfig } from '../src/config.ts';
import { CannotStart, ExpectedError } from '../src/errors.ts';
import { createLog } from '../src/logger.ts';
import { findRunningPostgres } from '../src/postgres/embedded/running.ts';
import { openDatabase } from '../src/postgres/opening.ts';

try {
  const run = findCommand(process.argv.slice(2));
  const config = readCommandConfig(process.env);
  const databaseUrl = config.databaseUrl ?? (await findRunningPostgres(config.dataDir));
  await using opened = new AsyncDisposableStack();
  const migrationsFolder = join(import.meta.dirname, '../prisma/migrations');
  // Starts the embedded PostgreSQL if no server is running it.
  const { db } = await openDatabase({ ...config, databaseUrl, migrationsFolder }, createLog('warn'), opened);
  process.stdout.write(`${await run({ db, appUrl: config.appUrl, storage: config })}\n`);
} catch (error) {
  const isExplained = error instanceof Misuse || error instanceof CannotStart || error instanceof ExpectedError;
  if (!isExplained) throw error;
  process.stderr.write(`${error.message}\n${error instanceof Misuse ? `${describeCommands()}\n` : ''}`);
  process.exitCode = 1;
}
