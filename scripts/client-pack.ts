import { execFile } from 'node:child_process';
import { copyFile, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);
const root = join(import.meta.dirname, '..');
const tsc = join(root, 'node_modules/typescript/bin/tsc');

/**
 * The package's exports in addition to its core. Each of them requires a package that any app that uses the export
 * already has.
 */
const bindings = ['react', 'urql', 'apollo', 'tada'];
const peers = ['react', '@urql/core', '@apollo/client', 'graphql', 'gql.tada', '@0no-co/graphql.web'];

/** Builds the client package and writes `parley-client-<version>.tgz` into the folder. Returns the file's path. */
export async function packClient(folder: string): Promise<string> {
  const { version, license, dependencies, devDependencies } = JSON.parse(
    await readFile(join(root, 'package.json'), 'utf8'),
  );
  const stage = await mkdtemp(join(tmpdir(), 'parley-client-'));
  try {
    await run(process.execPath, [tsc, '-p', join(root, 'src/client'), '--outDir', join(stage, 'dist')]);
    const manifest = {
      name: 'parley-client',
      version,
      description: 'The parley client, which keeps chats in sync with the server.',
      license,
      type: 'module',
      sideEffects: false,
      exports: Object.fromEntries([
        ['.', entryOf('client')],
        ...bindings.map((name): [string, object] => [`./${name}`, entryOf(name)]),
      ]),
      files: ['dist'],
      peerDependencies: Object.fromEntries(
        peers.map((name) => [name, `^${{ ...dependencies, ...devDependencies }[name]}`]),
      ),
      peerDependenciesMeta: Object.fromEntries(peers.map((name) => [name, { optional: true }])),
    };
    await writeFile(join(stage, 'package.json'), `${JSON.stringify(manifest, null, 2)}\n`);
    await copyFile(join(root, 'LICENSE'), join(stage, 'LICENSE'));
    const target = resolve(folder);
    await mkdir(target, { recursive: true });
    await run('npm', ['pack', '--silent', '--pack-destination', target], { cwd: stage });
    return join(target, `parley-client-${version}.tgz`);
  } finally {
    await rm(stage, { recursive: true, force: true });
  }
}

function entryOf(name: string): { types: string; default: string } {
  return { types: `./dist/${name}.d.ts`, default: `./dist/${name}.js` };
}

if (import.meta.main) {
  const [folder] = process.argv.slice(2);
  if (folder === undefined) {
    process.stderr.write('Usage: npm run client:pack -- FOLDER\n');
    process.exitCode = 1;
  } else process.stdout.write(`${await packClient(folder)}\n`);
}
