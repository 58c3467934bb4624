import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { appendFile, chown, cp, mkdir, mkdtemp, realpath, rm, symlink } from 'node:fs/promises';
import { homedir, tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';

const root = join(import.meta.dirname, '../..');
const run = promisify(execFile);

/** The container settings in an image. */
export type ImageConfig = {
  user: string;
  env: string[];
  cmd: string[];
  workingDir: string;
  healthcheck: string[];
  volumes: string[];
};

/** An image that was built from the Dockerfile, and its files. */
export type Image = {
  config: ImageConfig;
  /** The uncompressed size of the image, and that of its base image. */
  megabytes: number;
  baseMegabytes: number;
  /** Runs the image with a read-only root, as the image's user, in a separate process namespace. */
  start: (env: Record<string, string>) => Promise<Container>;
  remove: () => Promise<void>;
};

/** A running container. */
export type Container = {
  /** Resolves with the output when a line contains `text`. Rejects if the container ends without such a line. */
  said: (text: string) => Promise<string>;
  /** Runs a command in the container, as the container's user. Resolves with the exit status. */
  exec: (command: string[]) => Promise<number>;
  kill: (signal: NodeJS.Signals) => void;
  ended: Promise<{ status: number | null; output: string }>;
};

/**
 * Builds the Dockerfile with buildah. The build uses no registry: debootstrap builds the images named in the Dockerfile
 * from Debian's packages, and the image named `node` also gets Node and npm. Requires root, buildah, podman and
 * debootstrap.
 */
export async function buildImage(): Promise<Image> {
  const folder = await mkdtemp(join(tmpdir(), 'parley-image-'));
  const storage = [`--root=${join(folder, 'storage')}`, `--runroot=${join(folder, 'run')}`, '--storage-driver=vfs'];
  const buildah = async (...args: string[]) =>
    (await run('buildah', [...storage, ...args], { cwd: root, maxBuffer: 64e6 })).stdout.trim();
  const base = join(folder, 'base');
  await makeBase(base);
  const baseMegabytes = await megabytesOf(base);
  await importImage(storage, base, 'debian:bookworm-slim');
  await addNode(base);
  await importImage(storage, base, 'node:24-bookworm-slim');
  // The build uses npm's cache, so that npm downloads nothing in a second build.
  const cache = `${join(homedir(), '.npm')}:/root/.npm`;
  await mkdir(join(homedir(), '.npm'), { recursive: true });
  await buildah(
    'bud',
    '--isolation=chroot',
    '--pull-never',
    '--format=docker',
    '--build-arg',
    'S3=yes',
    '-v',
    cache,
    '-t',
    'parley',
    '.',
  );
  const config = readConfig(JSON.parse(await buildah('inspect', '--type=image', 'parley')));
  const container = await buildah('from', '--pull-never', 'parley');
  const files = await buildah('mount', container);
  return {
    config,
    megabytes: await megabytesOf(files),
    baseMegabytes,
    start: (env) => startContainer(files, config, env),
    remove: async () => {
      await buildah('umount', container);
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** Makes a minimal Debian, without the files that Docker's slim images also leave out. */
async function makeBase(folder: string): Promise<void> {
  await run('/usr/sbin/debootstrap', ['--variant=minbase', 'bookworm', folder], { maxBuffer: 64e6 });
  const left = ['var/cache/apt', 'var/lib/apt/lists', 'usr/share/doc', 'usr/share/man', 'usr/share/locale', 'var/log'];
  for (const path of left) await rm(join(folder, path), { recursive: true });
}

/**
 * Adds the Node that runs this test, npm, and the certificates of this machine, and tells npm to trust these
 * certificates.
 */
async function addNode(folder: string): Promise<void> {
  const npm = dirname(dirname(await realpath((await run('which', ['npm'])).stdout.trim())));
  const local = join(folder, 'usr/local');
  await cp(process.execPath, join(local, 'bin/node'));
  await cp(npm, join(local, 'lib/node_modules/npm'), { recursive: true, dereference: true });
  await symlink('../lib/node_modules/npm/bin/npm-cli.js', join(local, 'bin/npm'));
  await mkdir(join(folder, 'etc/ssl/certs'), { recursive: true });
  const certificates = '/etc/ssl/certs/ca-certificates.crt';
  await cp(certificates, join(folder, certificates));
  await mkdir(join(local, 'etc'), { recursive: true });
  await appendFile(join(local, 'etc/npmrc'), `cafile=${certificates}\n`);
}

async function importImage(storage: string[], folder: string, name: string): Promise<void> {
  const pack = spawn('tar', ['-C', folder, '-c', '.'], { stdio: ['ignore', 'pipe', 'inherit'] });
  const load = spawn('podman', [...storage, 'import', '-', name], { stdio: [pack.stdout, 'ignore', 'pipe'] });
  let said = '';
  load.stderr.setEncoding('utf8').on('data', (text: string) => (said += text));
  const [status] = (await once(load, 'exit')) as [number];
  if (status !== 0) throw new Error(`podman import failed:\n${said}`);
}

async function megabytesOf(folder: string): Promise<number> {
  const { stdout } = await run('du', ['-sm', '--apparent-size', folder]);
  return Number.parseInt(stdout, 10);
}

type Inspection = {
  Docker: {
    config: {
      User: string;
      Env: string[];
      Cmd: string[];
      WorkingDir: string;
      Healthcheck: { Test: string[] };
      Volumes: Record<string, unknown>;
    };
  };
};

function readConfig({ Docker: { config } }: Inspection): ImageConfig {
  return {
    user: config.User,
    env: config.Env,
    cmd: config.Cmd,
    workingDir: config.WorkingDir,
    healthcheck: config.Healthcheck.Test.slice(1),
    volumes: Object.keys(config.Volumes),
  };
}

/**
 * Gives the container separate mounts and processes, with a read-only root, an empty volume and /tmp in memory. The
 * container shares the network of the host.
 */
const isolate = `set -e
mount --bind "$FILES" "$FILES"
mount -o remount,bind,ro "$FILES"
mount -t tmpfs tmpfs "$FILES/tmp"
mount -t proc proc "$FILES/proc"
mount --bind "$VOLUME" "$FILES/data"
for device in null urandom; do mount --bind "/dev/$device" "$FILES/dev/$device"; done
exec chroot --userspec="$USER_IDS" "$FILES" env -i "$@"`;

async function startContainer(files: string, config: ImageConfig, env: Record<string, string>): Promise<Container> {
  const volume = await mkdtemp(join(tmpdir(), 'parley-volume-'));
  const [uid = 0, gid = 0] = config.user.split(':').map(Number);
  await chown(volume, uid, gid);
  const settings = [...config.env, ...Object.entries(env).map(([name, value]) => `${name}=${value}`)];
  const inFolder = ['sh', '-c', 'cd "$0" && exec "$@"', config.workingDir];
  const child = spawn(
    'unshare',
    ['--mount', '--pid', '--fork', '--kill-child', 'sh', '-c', isolate, 'sh', ...settings, ...inFolder, ...config.cmd],
    {
      env: { ...process.env, FILES: files, VOLUME: volume, USER_IDS: config.user },
      stdio: ['ignore', 'pipe', 'pipe'],
    },
  );
  let output = '';
  const listeners = new Set<() => void>();
  for (const input of [child.stdout, child.stderr]) {
    createInterface({ input }).on('line', (line) => {
      output += `${line}\n`;
      for (const listener of listeners) listener();
    });
  }
  const ended = once(child, 'close').then(async () => {
    await rm(volume, { recursive: true, force: true });
    return { status: child.exitCode, output };
  });
  const first = async () => (await run('pgrep', ['-P', String(child.pid)])).stdout.trim();
  return {
    said: (text) =>
      new Promise((resolve, reject) => {
        const look = () => output.includes(text) && resolve(output);
        listeners.add(look);
        look();
        void ended.then(() => reject(new Error(`It ended without saying "${text}":\n${output}`)));
      }),
    exec: async (command) => {
      const inside = [
        '--target',
        await first(),
        '--mount',
        '--pid',
        '--root',
        '--setuid',
        `${uid}`,
        '--setgid',
        `${gid}`,
      ];
      const exec = spawn('nsenter', [...inside, 'env', `--chdir=${config.workingDir}`, '-i', ...settings, ...command], {
        stdio: 'inherit',
      });
      const [status] = (await once(exec, 'exit')) as [number];
      return status;
    },
    kill: (signal) => void first().then((pid) => process.kill(Number(pid), signal)),
    ended,
  };
}
