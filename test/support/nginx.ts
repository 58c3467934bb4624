import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { getCACertificates, setDefaultCACertificates } from 'node:tls';
import { promisify } from 'node:util';
import { findFreePort } from '../../src/postgres/embedded/server.ts';
import { atFileEnd } from './file-end.ts';

const shipped = join(import.meta.dirname, '../../deploy/nginx');
const run = promisify(execFile);

/** Whether nginx is installed on this machine, and the tests run as root, as nginx requires. */
export const hasNginx = existsSync('/usr/sbin/nginx') && process.getuid?.() === 0;

/** nginx, running with the configuration in deploy/nginx. */
export type Nginx = {
  /** https://localhost:… with a certificate that this process trusts. */
  url: string;
  /** http://localhost:…, which redirects. */
  plainUrl: string;
  /** The output of `nginx -t`. */
  check: string;
  /** Reads its access log so far. */
  readLog: () => Promise<string>;
  /** Reads its error log so far. */
  readErrors: () => Promise<string>;
};

/**
 * Runs nginx in front of these nodes until after the file's last test. It uses the shipped configuration files, with
 * other ports and paths.
 */
export async function startNginx(nodes: readonly { url: string }[]): Promise<Nginx> {
  const folder = await mkdtemp(join(tmpdir(), 'parley-nginx-'));
  await chmod(folder, 0o755);
  const [port, plainPort] = [await findFreePort(), await findFreePort()];
  await createCertificate(folder);
  await copyConfig(folder, 'nginx.conf', [
    ['pid /run/nginx.pid;', `pid ${folder}/nginx.pid;`],
    ['error_log /var/log/nginx/error.log warn;', `error_log ${folder}/error.log warn;`],
    ['include /etc/nginx/conf.d/*.conf;', `include ${folder}/upstream.conf; include ${folder}/parley.conf;`],
  ]);
  await copyConfig(
    folder,
    'upstream.conf',
    nodes.map(({ url }, index) => [`server 127.0.0.1:400${index + 1} `, `server ${new URL(url).host} `]),
  );
  await copyConfig(folder, 'parley.conf', [
    ['listen 80;\n  listen [::]:80;', `listen 127.0.0.1:${plainPort};`],
    ['listen 443 ssl http2;\n  listen [::]:443 ssl http2;', `listen 127.0.0.1:${port} ssl http2;`],
    ['https://$host$request_uri', `https://$host:${port}$request_uri`],
    ['/etc/nginx/tls/parley.pem', `${folder}/parley.pem`],
    ['/etc/nginx/tls/parley.key', `${folder}/parley.key`],
    ['/var/log/nginx/access.log', `${folder}/parley.log`],
    ['server_name chat.example.com;', 'server_name localhost;'],
  ]);
  const program = ['-c', join(folder, 'nginx.conf'), '-p', folder];
  const { stderr } = await run('/usr/sbin/nginx', [...program, '-t']);
  const child = spawn('/usr/sbin/nginx', [...program, '-g', 'daemon off;'], { stdio: 'ignore' });
  atFileEnd(async () => {
    child.kill('SIGTERM');
    if (child.exitCode === null) await once(child, 'exit');
    await rm(folder, { recursive: true });
  });
  const url = `https://localhost:${port}`;
  await waitForListener(url);
  return {
    url,
    plainUrl: `http://localhost:${plainPort}`,
    check: stderr,
    readLog: () => readFile(join(folder, 'parley.log'), 'utf8'),
    readErrors: () => readFile(join(folder, 'error.log'), 'utf8'),
  };
}

/** Makes a certificate for localhost, and lets this process trust it. */
async function createCertificate(folder: string): Promise<void> {
  const [key, certificate] = [join(folder, 'parley.key'), join(folder, 'parley.pem')];
  await run('openssl', [
    ...['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2'],
    ...['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost', '-keyout', key, '-out', certificate],
  ]);
  const before = getCACertificates('default');
  setDefaultCACertificates([...before, await readFile(certificate, 'utf8')]);
  atFileEnd(() => setDefaultCACertificates(before));
}

async function copyConfig(folder: string, name: string, replacements: [string, string][]): Promise<void> {
  let text = await readFile(join(shipped, name), 'utf8');
  for (const [from, to] of replacements) {
    if (!text.includes(from)) throw new Error(`deploy/nginx/${name} no longer contains: ${from}`);
    text = text.replaceAll(from, to);
  }
  await writeFile(join(folder, name), text);
}

async function waitForListener(url: string): Promise<void> {
  const deadline = Date.now() + 10_000;
  while ((await fetch(url).catch(() => null)) === null) {
    if (Date.now() > deadline) throw new Error(`nginx does not answer at ${url}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
