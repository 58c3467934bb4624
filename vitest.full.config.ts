import process from 'node:process';
import { defineConfig, mergeConfig } from 'vitest/config';
import ordinary from './vitest.config.ts';

// With cached code a server starts with less memory, and then seems to need more for a file.
delete process.env['NODE_COMPILE_CACHE'];

/** `npm run test:full`: the tests that take too long for `npm test`, one file at a time. */
export default mergeConfig(
  { ...ordinary, test: { ...ordinary.test, include: [], exclude: [] } },
  defineConfig({
    test: {
      include: ['test/full/**/*.test.ts'],
      env: { PARLEY_TESTS: 'full' },
      maxWorkers: 1,
      testTimeout: 600_000,
      hookTimeout: 120_000,
    },
  }),
);
