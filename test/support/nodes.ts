import type { Overrides } from '../../src/app.ts';
import { TestNetwork, type Trouble } from './channels.ts';
import { atFileEnd } from './file-end.ts';

/**
 * How the nodes of a test file exchange events: either each node reads the log, or the nodes send the events to each
 * other.
 */
type Exchange = { env: Record<string, string>; overridesFor: (databaseUrl: string) => Overrides };

const byLog: Exchange = { env: {}, overridesFor: () => ({}) };
let exchange = byLog;

/** Returns the settings of every server in the test file, which are added to the options that a test passes. */
export function currentExchange(): Exchange {
  return exchange;
}

/** Returns whether each node reads the log itself instead of receiving events from other nodes. */
export function exchangesByLog(): boolean {
  return exchange === byLog;
}

/** Makes nodes tell each other about events over a network with these faults, until the test file ends. */
export function useNetwork(trouble: Trouble): void {
  const networks = new Map<string, TestNetwork>();
  use({
    env: {},
    overridesFor: (databaseUrl) => {
      const { pathname } = new URL(databaseUrl);
      const network = networks.get(pathname) ?? new TestNetwork();
      networks.set(pathname, network);
      return { channels: network.join(trouble) };
    },
  });
}

/** Makes nodes use this Redis, until the test file ends. */
export function useRedis(url: string): void {
  use({ env: { REDIS_URL: url }, overridesFor: () => ({}) });
}

function use(other: Exchange): void {
  exchange = other;
  atFileEnd(() => void (exchange = byLog));
}

/**
 * Runs the tests of these files (paths below test/) in the current file, with the current file's settings for the
 * nodes.
 */
export async function runHere(paths: readonly string[]): Promise<void> {
  for (const path of paths) {
    const url = new URL(`../${path}.test.ts`, import.meta.url);
    // The file must be evaluated again, even if the worker has run it before.
    url.searchParams.set('run', String((runCount += 1)));
    await import(url.href);
  }
}

let runCount = 0;

/**
 * For `runHere`: the tests that show that clients receive everything that they may receive, in order, and nothing else.
 */
export const deliveryTests = [
  'faults/property',
  'faults/race',
  'faults/revocation',
  'faults/back-pressure',
  'faults/deletion',
  'faults/process',
  'faults/pruning',
  'faults/slow-document',
  'faults/socket',
  'faults/transaction',
  'live/access',
  'live/any-writer',
  'live/event',
  'live/history',
  'full/outage',
  'live/resume',
  'live/sharing',
  'live/typing',
  'http/stream/nodes',
  'people/presence',
  'webhook/webhook',
  'full/back-pressure',
  'full/process',
  'full/stream-nodes',
];

/** For `runHere`: the tests that depend most on how a Redis-compatible server behaves. */
export const valkeyTests = [
  'faults/property',
  'faults/race',
  'live/access',
  'live/resume',
  'live/typing',
  'people/presence',
];
