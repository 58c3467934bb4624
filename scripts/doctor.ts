/**
 * `npm run -s doctor`: checks everything that the server needs, with the settings that the server would use, and says
 * what to fix. Exits with 1 if the server could not run.
 */
import process from 'node:process';
import { readConfig } from '../src/config.ts';
import { examine } from '../src/doctor/doctor.ts';
import { CannotStart } from '../src/errors.ts';
import { findRunningPostgres } from '../src/postgres/embedded/running.ts';

async function findDatabase({
  databaseUrl,
  databaseDirectUrl,
  databasePoolSize,
  dataDir,
}: ReturnType<typeof readConfig>) {
  // Before the first start, the database does not exist yet.
  const url = databaseUrl ?? (await findRunningPostgres(dataDir).catch(() => null));
  return url === null ? null : { url, directUrl: databaseDirectUrl ?? url, poolSize: databasePoolSize };
}

try {
  const config = readConfig(process.env);
  process.stdout.write('OK    settings: all can be read\n');
  const patient = { ...config, database: await findDatabase(config) };
  const isFit = await examine(patient, (lines) => process.stdout.write(lines));
  process.exit(isFit ? 0 : 1);
} catch (error) {
  if (!(error instanceof CannotStart)) throw error;
  process.stdout.write(`FAIL  settings: ${error.message}\n`);
  process.exitCode = 1;
}
