import type { Logger } from 'pino';
import { describeFault } from '../errors.ts';
import { connectDatabase, disconnectDatabase, statementTimeoutMs, type Db } from './client.ts';
import { startEmbeddedPostgres } from './embedded/postgres.ts';
import { inspectDatabase } from './inspection.ts';
import { applyMigrations, confirmRelease } from './migration.ts';
import type { Release } from './node-lease.ts';

/**
 * The operator's database. `databaseDirectUrl` is a URL that bypasses any pooler, or null if `databaseUrl` itself
 * already bypasses it. Without `databaseUrl`, the embedded PostgreSQL runs in `dataDir`.
 */
export type DatabaseSettings = {
  databaseUrl: string | null;
  databaseDirectUrl: string | null;
  databasePoolSize: number;
  dataDir: string;
  migrationsFolder: string;
  /** If this is set, statements are traced. */
  otlpEndpoint?: string | null;
};

/**
 * Opens and migrates the database. Disposing `started` closes it. Also returns the URL that bypasses any pooler, and
 * the description of this release. Throws CannotStart for problems that an operator can fix.
 */
export async function openDatabase(
  settings: DatabaseSettings,
  log: Logger,
  started: AsyncDisposableStack,
): Promise<{ db: Db; directUrl: string; release: Release }> {
  const { url, directUrl } = await findDatabase(settings, log, started);
  const { isReadOnlyByDefault } = await inspectDatabase(directUrl);
  const name = await applyMigrations(directUrl, settings.migrationsFolder, log);
  const db = connectDatabase({
    url,
    directUrl,
    maxConnections: settings.databasePoolSize,
    statementTimeoutMs: settings.databaseDirectUrl === null ? statementTimeoutMs : null,
    overridesReadOnly: isReadOnlyByDefault,
    isTraced: settings.otlpEndpoint != null,
    onError: (error) => log.warn({ fault: describeFault(error) }, 'a connection to the database broke'),
  });
  started.defer(() => disconnectDatabase(db));
  const release = { name, confirm: () => confirmRelease(db, settings.migrationsFolder) };
  return { db, directUrl, release };
}

/** Returns the operator's database, or starts the embedded one. */
async function findDatabase(settings: DatabaseSettings, log: Logger, started: AsyncDisposableStack) {
  const { databaseUrl, databaseDirectUrl, dataDir } = settings;
  if (databaseUrl !== null) return { url: databaseUrl, directUrl: databaseDirectUrl ?? databaseUrl };
  const { url, stop } = await startEmbeddedPostgres(dataDir, log);
  started.defer(stop);
  return { url, directUrl: url };
}
