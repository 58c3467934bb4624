/**
 * Runs after each `npm install` and `npm ci`: generates the database client, and builds the server's chat page. An
 * installation without development dependencies can do neither, so it keeps the existing files. Prints nothing unless
 * something is wrong.
 */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { promisify } from 'node:util';

const root = join(import.meta.dirname, '..');

/** The lowest version of Node on which npm may run. Every package supports this version. */
const supportedNode = 22.15;

// npm's user agent contains the version of the Node that runs npm, as in `npm/11.19.1 node/v20.20.2 linux x64`. This
// script itself runs on the bundled Node.
const [, installedBy = ''] = /\bnode\/v(\d+\.\d+)/.exec(process.env['npm_config_user_agent'] ?? '') ?? [];
if (installedBy !== '' && Number(installedBy) < supportedNode) {
  process.stdout.write(
    `npm ran on Node ${installedBy}, but parley runs on its own Node ${process.versions.node} in node_modules.\n`,
  );
}

const prisma = join(root, 'node_modules/prisma-cli/build/index.js');
if (existsSync(prisma)) {
  const generating = promisify(execFile)(process.execPath, [prisma, 'generate', '--no-hints'], { cwd: root });
  await Promise.all([generating, buildPage()]);
} else if (!existsSync(join(root, 'src/postgres/generated'))) {
  process.stdout.write('The database client is missing: run `npm ci`, and then `npm prune --omit=dev`.\n');
}

/**
 * Does nothing if the page's code is missing. This is the case in an image build, which installs the packages before it
 * copies the code.
 */
async function buildPage(): Promise<void> {
  if (!existsSync(join(root, 'src/web'))) return;
  const { buildWebPage } = await import('./web.ts');
  await buildWebPage();
}
