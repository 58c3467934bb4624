import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';

/**
 * A proxy in front of a server. It can go dark: connections stay open but pass no more data, as behind a dead router.
 */
export type Proxy = {
  /** The same URL, through the proxy. */
  through: (url: string) => string;
  /** Every connection that is open now, or that opens before `light`, stays dark forever. */
  darken: () => void;
  light: () => void;
  /** Resets all connections. */
  cut: () => void;
  close: () => Promise<void>;
};

type Pair = { client: Socket; target: Socket; isDark: boolean };

/** Opens a proxy in front of the target. */
export async function openProxy(target: { host: string; port: number }): Promise<Proxy> {
  const pairs = new Set<Pair>();
  let isDark = false;
  const server = createServer((client) => {
    const pair = { client, target: connect(target.port, target.host), isDark };
    pairs.add(pair);
    join(pair, () => pairs.delete(pair));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const cut = () => {
    for (const { client, target: other } of pairs) {
      client.resetAndDestroy();
      other.resetAndDestroy();
    }
    pairs.clear();
  };
  return {
    through: (url) => {
      const moved = new URL(url);
      [moved.hostname, moved.port] = ['127.0.0.1', String(port)];
      return moved.href.replace(/\/$/, '');
    },
    darken: () => {
      isDark = true;
      for (const pair of pairs) pair.isDark = true;
    },
    light: () => (isDark = false),
    cut,
    close: async () => {
      server.close();
      cut();
      await once(server, 'close');
    },
  };
}

function join(pair: Pair, onEnd: () => void): void {
  const { client, target } = pair;
  const end = () => {
    // A dark connection does not even report that it has ended; the next `cut` removes it.
    if (pair.isDark) return;
    onEnd();
    client.destroy();
    target.destroy();
  };
  for (const [from, to] of [
    [client, target],
    [target, client],
  ] as const) {
    from.setNoDelay(true).on('error', end).on('close', end);
    from.on('data', (bytes) => {
      if (!pair.isDark && !to.write(bytes)) from.pause();
    });
    to.on('drain', () => from.resume());
  }
}
