import type { TestProject } from 'vitest/node';
import { startPostgres } from './postgres.ts';
import { createTemplate } from './template.ts';

declare module 'vitest' {
  export interface ProvidedContext {
    /** The maintenance database of this run's PostgreSQL, as the superuser. */
    postgresUrl: string;
  }
}

/** The migrated database from which each test file's database is cloned. */
export const templateName = 'parley_template';

/** One PostgreSQL for the run, with a migrated template in it; both are removed when the run ends. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const postgres = await startPostgres();
  const urlOf = (name: string) => Object.assign(new URL(postgres.url), { pathname: name }).href;
  await createTemplate(urlOf, templateName);
  project.provide('postgresUrl', postgres.url);
  return postgres.stop;
}
