import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { onTestFinished } from 'vitest';

/** An answer that a proxy holds back. See `hold`. */
export type Hold = {
  /** Resolves once the proxy holds back an answer. By then the target has executed the request. */
  caught: Promise<void>;
  /** Releases the answer and everything that follows it. */
  release: () => void;
};

/** A proxy in front of a server, the target, whose connections a test can break. */
export type Proxy = {
  /** Returns the same URL, but through this proxy. */
  through: (url: string) => string;
  /** How many connections are open. */
  readonly size: number;
  /**
   * Cuts each open connection with the given probability; with probability 1, all of them. Neither side gets a clean
   * close.
   */
  cut: (share?: number) => void;
  /**
   * Makes the open connections silent without closing them, like a firewall that has forgotten them. With `all`,
   * connections that are opened later are silent too, until `speak` is called. Returns how many open connections became
   * silent.
   */
  silence: (options?: { all?: boolean }) => number;
  /** Lets new connections pass data again. */
  speak: () => void;
  /** On the next connection that sends this text, holds back the answer from `target` until it is released. */
  hold: (text: string) => Hold;
  /**
   * Starts counting the pieces of data to `target` that contain this text. Returns a function that returns the current
   * count.
   */
  count: (text: string) => () => number;
  /** Cuts every connection, and accepts no new connections. */
  close: () => Promise<void>;
};

/** `held` is the part of the answer that the client must not receive yet, or null if nothing is held back. */
type Pair = { client: Socket; target: Socket; held: Held | null; isSilent: boolean };
type Held = { answers: Buffer[]; onAnswer: () => void };
type Trap = { text: string; isSet: boolean; spring: (pair: Pair) => void };

/** Opens a proxy to the host and port of `url`, and closes it when the test is over. */
export async function openProxy(url: string): Promise<Proxy> {
  const { hostname, port } = new URL(url);
  const pairs = new Set<Pair>();
  const silent: Pair[] = [];
  const traps = new Set<Trap>();
  const counters = new Set<{ text: string; count: number }>();
  let areSilent = false;
  const server = createServer((client) => {
    const target = connect(Number(port), hostname);
    const pair: Pair = { client, target, held: null, isSilent: areSilent };
    pairs.add(pair);
    if (pair.isSilent) silent.push(pair);
    const end = () => {
      pairs.delete(pair);
      // Nor does closing one side of a silent connection close the other side.
      if (pair.isSilent) return;
      client.destroy();
      target.destroy();
    };
    for (const socket of [client, target]) socket.setNoDelay(true).on('error', end).on('close', end);
    client.on('data', (bytes) => {
      for (const counter of counters) if (bytes.includes(counter.text)) counter.count += 1;
      for (const trap of traps) if (trap.isSet && bytes.includes(trap.text)) trap.spring(pair);
      if (!pair.isSilent && !target.write(bytes)) client.pause();
    });
    target.on('drain', () => client.resume());
    target.on('data', (bytes) => {
      if (pair.isSilent) return;
      if (pair.held !== null) {
        pair.held.answers.push(bytes);
        pair.held.onAnswer();
      } else if (!client.write(bytes)) target.pause();
    });
    client.on('drain', () => target.resume());
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const here = server.address() as AddressInfo;
  const cut = (share = 1) => {
    for (const { client, target } of pairs) {
      if (share < 1 && Math.random() >= share) continue;
      client.resetAndDestroy();
      target.resetAndDestroy();
    }
  };
  const close = async () => {
    if (!server.listening) return;
    server.close();
    cut();
    for (const { client, target } of silent) {
      client.destroy();
      target.destroy();
    }
    await once(server, 'close');
  };
  onTestFinished(close);
  return {
    through: (original) => {
      const moved = new URL(original);
      moved.hostname = '127.0.0.1';
      moved.port = String(here.port);
      return moved.href.replace(/\/$/, '');
    },
    get size() {
      return pairs.size;
    },
    cut,
    silence: ({ all = false } = {}) => {
      areSilent = all;
      const speaking = [...pairs].filter(({ isSilent }) => !isSilent);
      for (const pair of speaking) pair.isSilent = true;
      silent.push(...speaking);
      return speaking.length;
    },
    speak: () => {
      areSilent = false;
    },
    hold: (text) => setTrap(traps, text),
    count: (text) => {
      const counter = { text, count: 0 };
      counters.add(counter);
      return () => counter.count;
    },
    close,
  };
}

function setTrap(traps: Set<Trap>, text: string): Hold {
  const { promise: caught, resolve } = Promise.withResolvers<void>();
  let caughtPair: Pair | null = null;
  const trap: Trap = {
    text,
    isSet: true,
    spring: (pair) => {
      trap.isSet = false;
      caughtPair = pair;
      pair.held = { answers: [], onAnswer: resolve };
    },
  };
  traps.add(trap);
  const release = () => {
    traps.delete(trap);
    for (const bytes of caughtPair?.held?.answers ?? []) caughtPair?.client.write(bytes);
    if (caughtPair !== null) caughtPair.held = null;
  };
  return { caught, release };
}
