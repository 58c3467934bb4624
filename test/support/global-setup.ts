import pg from 'pg';
import { pino } from 'pino';
import type { TestProject } from 'vitest/node';
import { applyMigrations } from '../../src/postgres/migration.ts';
import { startPostgres } from './postgres.ts';

declare module 'vitest' {
  export interface ProvidedContext {
    /** The maintenance database of this run's PostgreSQL, which also holds the template. */
    postgresUrl: string;
  }
}

/** The migrated database from which each test file's database is cloned. */
export const templateName = 'parley_template';

/** One PostgreSQL for the run, with a migrated template in it; both are removed when the run ends. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const postgres = await startPostgres();
  await createTemplate(postgres.url);
  project.provide('postgresUrl', postgres.url);
  return postgres.stop;
}

async function createTemplate(postgresUrl: string): Promise<void> {
  await runSql(postgresUrl, `create database ${templateName}`);
  const url = new URL(postgresUrl);
  url.pathname = templateName;
  await applyMigrations(url.href, 'prisma/migrations', pino({ level: 'silent' }));
  // Forbid connections to the template, so that it can always be cloned.
  await runSql(postgresUrl, `alter database ${templateName} with is_template true allow_connections false`);
}

async function runSql(connectionString: string, sql: string): Promise<void> {
  const client = new pg.Client({ connectionString });
  await client.connect();
  try {
    await client.query(sql);
  } finally {
    await client.end();
  }
}
