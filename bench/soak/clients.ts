import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import process from 'node:process';

const root = join(import.meta.dirname, '../..');

/**
 * Runs the client package's model test for the given number of minutes, with one seed after another, starting at
 * `seed`. Returns the exit status: 0 if all is well. The model is a test because it needs the database that the tests
 * start.
 */
export async function soakClients(minutes: number, seed: number): Promise<number> {
  const args = ['run', '--config', 'vitest.full.config.ts', 'test/full/client-model.test.ts'];
  const child = spawn(process.execPath, [join(root, 'node_modules/vitest/vitest.mjs'), ...args], {
    cwd: root,
    env: { ...process.env, MODEL_MINUTES: String(minutes), MODEL_SEED: String(seed) },
    stdio: 'inherit',
  });
  await once(child, 'close');
  return child.exitCode ?? 1;
}
