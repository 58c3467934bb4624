import { globSync, readFileSync } from 'node:fs';
import process from 'node:process';
import { defineConfig, mergeConfig } from 'vitest/config';
import ordinary from './vitest.config.ts';

// With cached code, a server uses less memory at the start, so handling a file would then appear to need more.
delete process.env['NODE_COMPILE_CACHE'];

/** The files that `npm test` runs with fewer repetitions (test/support/rounds.ts). */
const repeated = globSync('test/**/*.test.ts').filter((path) =>
  readFileSync(path, 'utf8').includes('support/rounds.ts'),
);

/** `npm run test:full`: the tests that take too long for `npm test`, one file at a time. */
export default mergeConfig(
  { ...ordinary, test: { ...ordinary.test, include: [], exclude: [] } },
  defineConfig({
    test: {
      include: ['test/full/**/*.test.ts', ...repeated],
      env: { PARLEY_TESTS: 'full' },
      maxWorkers: 1,
      testTimeout: 600_000,
      hookTimeout: 120_000,
    },
  }),
);
