import { execFile } from 'node:child_process';
import { appendFile, cp, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { expect, onTestFinished, test } from 'vitest';

const root = join(import.meta.dirname, '../..');
const execute = promisify(execFile);

test('the steps of CONTRIBUTING.md, followed to the letter, add a feature', async () => {
  const copy = await copyTree();
  const steps = await readSteps();
  expect(steps.map(({ path }) => path)).toEqual([
    'prisma/migrations/20261202000000_polls/migration.sql',
    'prisma/schema.prisma',
    'src/message/poll.ts',
    'src/message/poll.graphql.ts',
    'test/message/poll.test.ts',
    'test/postgres/dependent.test.ts',
    'test/live/event-statement.test.ts',
    'docs/architecture.md',
  ]);
  const [sample = '', happening = '', row = ''] = steps.splice(-3).map(({ code }) => code);
  for (const { path, code } of steps) {
    await mkdir(join(copy, dirname(path)), { recursive: true });
    await appendFile(join(copy, path), code);
  }
  await change(join(copy, 'prisma/schema.prisma'), /^model Message \{\n/m, 'model Message {\n  poll Poll?\n');
  const scopes = join(copy, 'src/api/scope-table.ts');
  await change(scopes, /^ {2}Mutation: \{\n/m, '  Mutation: {\n    addPoll: writeMessages,\n');
  await change(scopes, /^ {2}PageInfo: /m, '  Poll: readMessages,\n  PollAdded: readMessages,\n  PageInfo: ');
  await change(join(copy, 'src/edges.ts'), /^import /m, "import './message/poll.graphql.ts';\nimport ");

  await change(join(copy, 'test/postgres/dependent.test.ts'), /^const samples: .*\n/m, (found) => `${found}${sample}`);
  const afterPin = /^ {2}await pinMessage\(ada, message\);\n/m;
  await change(join(copy, 'test/live/event-statement.test.ts'), afterPin, (found) => `${found}${happening}`);
  await change(join(copy, 'docs/architecture.md'), /^\| `pins` .*\n/m, (found) => `${found}${row}`);

  const run = async (program: string, ...args: string[]) => {
    const result = await execute(program, args, { cwd: copy }).catch((error: unknown) => error as Failure);
    if ('code' in result) throw new Error(`${program} ${args.join(' ')} failed:\n${result.stdout}${result.stderr}`);
    return result.stdout;
  };
  await run('npm', 'run', '-s', 'generate');
  await run('npm', 'run', '-s', 'schema');
  const files = [...steps.map(({ path }) => path).filter((path) => path.endsWith('.ts')), 'src/edges.ts'];
  await run('npm', 'run', '-s', 'format');
  await run('node_modules/.bin/oxlint', ...files);
  await run('node_modules/.bin/tsc');
  const vitest = (...args: string[]) => run('node_modules/.bin/vitest', 'run', '--maxWorkers=1', ...args);
  const names = ['message/poll', 'postgres/dependent', 'postgres/catalog-rule', 'postgres/schema-drift', 'api/schema'];
  const paths = [...names, 'live/event-statement'].map((name) => `test/${name}.test.ts`);
  expect(await vitest(...paths)).toMatch(/Tests .*passed/);
  expect(await vitest('test/readme.test.ts', '-t', 'lists every table|every path|every link')).toMatch(
    /Tests .*passed/,
  );
  expect(await readFile(join(copy, 'schema.graphql'), 'utf8')).toContain('type PollAdded');
});

type Failure = { code: number; stdout: string; stderr: string };

/** Copies the current tree, without generated files. */
async function copyTree(): Promise<string> {
  const copy = await mkdtemp(join(tmpdir(), 'parley-contributing-'));
  onTestFinished(() => rm(copy, { recursive: true }));
  const left = new Set(['node_modules', '.git', '.data', 'generated']);
  await cp(root, copy, { recursive: true, filter: (path) => !left.has(basename(path)) });
  await symlink(join(root, 'node_modules'), join(copy, 'node_modules'));
  return copy;
}

/** Returns the code of each step, and the file that the step names. */
async function readSteps(): Promise<{ path: string; code: string }[]> {
  const text = await readFile(join(root, 'CONTRIBUTING.md'), 'utf8');
  const steps = text
    .slice(text.indexOf('## Add a feature'))
    .split(/^\d+\. /m)
    .slice(1);
  return steps.flatMap((step) => {
    const path = /`((?:src|test|prisma|docs)\/[\w./-]+)`|\((prisma\/schema\.prisma)\)/.exec(step);
    const code = /^ {3}```\w+\n(.*?)^ {3}```$/ms.exec(step)?.[1];
    if (path === null || code === undefined) return [];
    return [{ path: path[1] ?? path[2] ?? '', code: code.replace(/^ {3}/gm, '') }];
  });
}

async function change(path: string, from: RegExp, to: string | ((found: string) => string)): Promise<void> {
  const text = await readFile(path, 'utf8');
  expect(text).toMatch(from);
  await writeFile(path, text.replace(from, typeof to === 'string' ? () => to : to));
}
