import { execFile, spawn } from 'node:child_process';
import { randomBytes, randomInt } from 'node:crypto';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';
import { onTestFinished } from 'vitest';

/**
 * Two machines and two networks, made of Linux network namespaces. One network connects the two machines to each other,
 * and the other network connects this machine to the first machine. The two machines use the kernel's defaults,
 * regardless of this machine's settings.
 */
export type Network = {
  /** Put a command after these arguments to run it on the first machine, the server. */
  onServer: string[];
  /** The server's address as seen from this machine, and from the client. */
  serverFor: { us: string; client: string };
  /** Runs a Node script on the client until the test is over. Calls back with each line of its output. */
  runClient: (script: string, onLine: (line: string) => void) => void;
  /** Makes the client silent: it receives nothing, and sends nothing, not even TCP resets. */
  silenceClient: () => Promise<void>;
  /** Lets the client receive and answer again. */
  restoreClient: () => Promise<void>;
};

const run = async (...args: string[]) => (await promisify(execFile)('ip', args)).stdout;

/** Sets up the network, and removes it when the test is over. This needs Linux and root. */
export async function createNetwork(): Promise<Network> {
  const name = randomBytes(3).toString('hex');
  const [server, client] = [`parley-s-${name}`, `parley-c-${name}`];
  for (const namespace of [server, client]) {
    await run('netns', 'add', namespace);
    onTestFinished(async () => void (await run('netns', 'del', namespace)));
    await run('-n', namespace, 'link', 'set', 'lo', 'up');
  }
  const [ours, theirs] = [`10.${randomInt(1, 255)}.${randomInt(255)}`, `10.${randomInt(1, 255)}.${randomInt(255)}`];
  const link = `ps${name}`;
  await run('link', 'add', link, 'type', 'veth', 'peer', 'name', 'us', 'netns', server);
  await run('-n', client, 'link', 'add', 'server', 'type', 'veth', 'peer', 'name', 'client', 'netns', server);
  const ends = [
    { at: [], device: link, address: `${ours}.1` },
    { at: ['-n', server], device: 'us', address: `${ours}.2` },
    { at: ['-n', server], device: 'client', address: `${theirs}.1` },
    { at: ['-n', client], device: 'server', address: `${theirs}.2` },
  ];
  for (const { at, device, address } of ends) {
    await run(...at, 'addr', 'add', `${address}/30`, 'dev', device);
    await run(...at, 'link', 'set', device, 'up');
  }
  // On the Internet, the next router always answers ARP requests. In this network, the silent client itself would have
  // to answer them.
  const [{ address: hardware }] = JSON.parse(await run('-n', client, '-j', 'link', 'show', 'server'));
  await run('-n', server, 'neigh', 'replace', `${theirs}.2`, 'lladdr', hardware, 'dev', 'client', 'nud', 'permanent');
  return {
    onServer: ['ip', 'netns', 'exec', server],
    serverFor: { us: `${ours}.2`, client: `${theirs}.1` },
    runClient: (script, onLine) => {
      const child = spawn('ip', ['netns', 'exec', client, process.execPath, '--input-type=module', '-e', script], {
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      createInterface({ input: child.stdout }).on('line', onLine);
      onTestFinished(() => void child.kill('SIGKILL'));
    },
    // Without its address, the client drops all incoming packets and cannot send any.
    silenceClient: async () => void (await run('-n', client, 'addr', 'flush', 'dev', 'server')),
    restoreClient: async () => void (await run('-n', client, 'addr', 'add', `${theirs}.2/30`, 'dev', 'server')),
  };
}
