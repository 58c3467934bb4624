import { createHash } from 'node:crypto';
import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import process from 'node:process';
import { promisify } from 'node:util';
import { brotliCompress, constants, gzip } from 'node:zlib';
import type { Rolldown } from 'vite';

const root = join(import.meta.dirname, '..');
const source = join(root, 'src/web');

/** The folder in which the server looks for the page. */
const target = join(source, 'generated');
const fingerprintFile = 'fingerprint';

/** The page imports the client package by its name, as an app with the package installed does. */
const alias = Object.fromEntries(
  ['client', 'react', 'tada'].map((name) => [
    name === 'client' ? 'parley-client' : `parley-client/${name}`,
    join(root, `src/client/${name}.ts`),
  ]),
);

/**
 * Builds the server's chat page at `/`: the HTML, with its styles inlined, and the scripts, whose names change with
 * their contents. Each file is written in three forms: uncompressed, gzip and Brotli. Needs the development
 * dependencies.
 */
export async function buildWebPage(): Promise<void> {
  const texts = await bundleWebPage('production');
  // Builds in a temporary folder and renames it at the end, so that a server that starts during the build never sees an
  // incomplete page.
  const stage = `${target}.${process.pid}`;
  for (const [name, text] of withThemes(texts)) await writeCompressed(join(stage, name), text);
  await writeFile(join(stage, fingerprintFile), await fingerprint());
  await rm(target, { recursive: true, force: true });
  await rename(stage, target);
}

/**
 * Bundles the page and returns its files by name. In development mode, React reports problems and runs each effect
 * twice.
 */
export async function bundleWebPage(mode: 'production' | 'development'): Promise<Map<string, string>> {
  const { build } = await import('vite');
  const built = await build({
    root: source,
    configFile: false,
    logLevel: 'error',
    mode,
    // Overrides NODE_ENV, so that a server under test serves the same page that users get.
    define: { 'process.env.NODE_ENV': JSON.stringify(mode) },
    oxc: { jsx: { runtime: 'automatic', development: false } },
    resolve: {
      alias: Object.entries(alias).map(([name, replacement]) => ({ find: new RegExp(`^${name}$`), replacement })),
    },
    build: { write: false, assetsInlineLimit: 0, modulePreload: { polyfill: false }, target: 'es2023' },
  });
  const { output } = built as Rolldown.RolldownOutput;
  return inlineStyles(new Map(output.map((file) => [file.fileName, 'code' in file ? file.code : String(file.source)])));
}

/** Builds the page unless the existing one was built from the current code. */
export async function refreshWebPage(): Promise<void> {
  const built = await readFile(join(target, fingerprintFile), 'utf8').catch(() => null);
  if (built !== (await fingerprint())) await buildWebPage();
}

/** Hashes everything that the page is built from: its code, the client package's code, package.json and this script. */
async function fingerprint(): Promise<string> {
  const hash = createHash('sha256');
  for (const path of [join(root, 'package.json'), import.meta.filename]) hash.update(await readFile(path));
  for (const folder of [source, join(root, 'src/client')]) {
    const entries = await readdir(folder, { recursive: true, withFileTypes: true });
    const paths = entries.filter((entry) => entry.isFile()).map(({ parentPath, name }) => join(parentPath, name));
    for (const path of paths.toSorted()) {
      if (!path.startsWith(target)) hash.update(path.slice(root.length)).update(await readFile(path));
    }
  }
  return hash.digest('hex');
}

/** Inlines the styles into the page, so that the browser can paint after one round trip. */
function inlineStyles(texts: ReadonlyMap<string, string>): Map<string, string> {
  const inlined = new Map(texts);
  const page = texts.get('index.html') ?? '';
  const withStyles = page.replace(/<link rel="stylesheet"[^>]*href="\/([^"]+)"[^>]*>/g, (_, name: string) => {
    inlined.delete(name);
    return `<style>${texts.get(name)?.trim() ?? ''}</style>`;
  });
  return inlined.set('index.html', withStyles);
}

/** Adds a copy of the page for each theme that a user can choose instead of the system theme. */
function withThemes(texts: ReadonlyMap<string, string>): Map<string, string> {
  const page = texts.get('index.html') ?? '';
  const themed = (theme: string) => page.replace('<html', `<html data-theme="${theme}"`);
  return new Map([...texts, ['light.html', themed('light')], ['dark.html', themed('dark')]]);
}

async function writeCompressed(path: string, text: string): Promise<void> {
  const bytes = Buffer.from(text);
  const brotli = { params: { [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length } };
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, bytes);
  await writeFile(`${path}.gz`, await promisify(gzip)(bytes, { level: 9 }));
  await writeFile(`${path}.br`, await promisify(brotliCompress)(bytes, brotli));
}

if (import.meta.main) await buildWebPage();
