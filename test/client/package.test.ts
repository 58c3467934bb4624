import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { build, type Rolldown } from 'vite';
import { expect, test } from 'vitest';
import { createClient } from '../../src/client/client.ts';
import type * as Contract from './contract.d.ts';

/** The modules that are loaded on first use. */
const lazyModules = [/\/upload\.ts$/, /\/file-link\.ts$/, /\/indexed-db\.ts$/, /\/keeper\.ts$/, /\/tabs\.ts$/];

test('the package holds what its contract says', () => {
  // The TypeScript compiler compares the types.
  const create: (options: Contract.ClientOptions) => Contract.Client = createClient;
  expect(create({ url: 'http://localhost' }).state.connection).toBe('signed-out');
});

test('the core is at most 12 KB compressed, and needs nothing but the web platform', async () => {
  const built = await build({
    root: join(import.meta.dirname, '../../src/client'),
    logLevel: 'error',
    build: {
      write: false,
      lib: { entry: 'client.ts', formats: ['es'] },
      // Vite keeps the white space of libraries, because the apps that use them can remove it.
      rolldownOptions: { external: lazyModules, output: { minify: true } },
    },
  });
  const chunks = (built as Rolldown.RolldownOutput[])[0]?.output ?? [];
  const bytes = chunks.reduce(
    (sum, chunk) => sum + ('code' in chunk ? gzipSync(chunk.code, { level: 9 }).length : 0),
    0,
  );
  expect(bytes).toBeLessThanOrEqual(12 * 1_024);
});
