import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { defineConfig } from 'vitest/config';

// This cache is for the workers and for the servers that they start. Compiling takes a fifth of the CPU time of a
// server's start.
process.env['NODE_COMPILE_CACHE'] ??= join(tmpdir(), 'parley-compile-cache');

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    // `npm run test:full` runs these tests.
    exclude: ['test/full/**'],
    globalSetup: 'test/support/global-setup.ts',
    setupFiles: 'test/support/setup.ts',
    pool: 'forks',
    maxWorkers: 2,
    // Reserves more room for short-lived objects, so that collecting them takes less CPU time.
    execArgv: ['--max-semi-space-size=64'],
    // No file depends on freshly loaded modules, and reloading all code for each file took most of the time.
    isolate: false,
    testTimeout: 20_000,
    hookTimeout: 30_000,
    // The time for which tests wait for a frame from a stream. It is long, because the machine may be busy.
    expect: { poll: { timeout: 10_000 } },
    // A leftover `.only` or a file without tests must not look like a passing run.
    allowOnly: false,
    passWithNoTests: false,
    // Node itself loads the code under test, as in production. Vite would load a second copy of graphql.
    experimental: { viteModuleRunner: false },
  },
});
