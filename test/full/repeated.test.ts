import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { runHere } from '../support/nodes.ts';

const tests = join(import.meta.dirname, '..');

// `npm test` repeats these less often, or runs only some of their cases.
const repeated = globSync('**/*.test.ts', { cwd: tests, exclude: ['full'] }).filter((path) =>
  readFileSync(join(tests, path), 'utf8').includes('support/rounds.ts'),
);
await runHere(repeated.toSorted().map((path) => path.slice(0, -'.test.ts'.length)));
