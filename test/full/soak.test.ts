import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';

const run = promisify(execFile);

test('three minutes of traffic with a fault every 15 seconds lose, repeat and reorder nothing', async () => {
  const args = ['bench/soak.ts', '--minutes', '3', '--every', '15'];
  const { stdout } = await run(process.execPath, args, { maxBuffer: 64 * 1024 * 1024 }).catch(
    (error: unknown) => error as { stdout: string },
  );
  expect(stdout).toMatch(/all is well \(seed \d+\)\n$/);
});
