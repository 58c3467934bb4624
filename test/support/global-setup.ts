import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestProject } from 'vitest/node';
import { refreshWebPage } from '../../scripts/web.ts';
import { createCluster, startPostgres } from './postgres.ts';

declare module 'vitest' {
  export interface ProvidedContext {
    /** The maintenance database of this run's PostgreSQL, as the superuser. */
    postgresUrl: string;
    /** The folder of a migrated cluster that is not running, for tests that need their own PostgreSQL. */
    clusterFolder: string;
    /** The folder in which the servers store their files. */
    dataFolder: string;
  }
}

/**
 * Prepares one PostgreSQL for the run, with a migrated template in it, and the folders. PostgreSQL and the folders are
 * removed when the run ends.
 */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  // The page that was last built in this checkout may be older than the code.
  const [clusterFolder] = await Promise.all([createCluster(), refreshWebPage()]);
  const postgres = await startPostgres(clusterFolder);
  const dataFolder = await mkdtemp(join(tmpdir(), 'parley-files-'));
  project.provide('postgresUrl', postgres.url);
  project.provide('clusterFolder', clusterFolder);
  project.provide('dataFolder', dataFolder);
  return async () => {
    await postgres.stop();
    for (const folder of [clusterFolder, dataFolder]) await rm(folder, { recursive: true });
  };
}
