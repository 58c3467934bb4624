import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    // `npm run test:full` runs these.
    exclude: ['test/full/**'],
    globalSetup: 'test/support/global-setup.ts',
    setupFiles: 'test/support/setup.ts',
    pool: 'forks',
    maxWorkers: 2,
    // Servers and databases are each file's own; loading all of the code again for each file took most of the time.
    isolate: false,
    testTimeout: 20_000,
    hookTimeout: 30_000,
    // As patient as a stream that waits for a frame: the machine may be busy.
    expect: { poll: { timeout: 10_000 } },
    // A test that is left in by `.only`, or a file without any, must not look like a passing run.
    allowOnly: false,
    passWithNoTests: false,
    // Node itself loads what is tested, as it does in production; Vite would load a second copy of graphql.
    experimental: { viteModuleRunner: false },
  },
});
