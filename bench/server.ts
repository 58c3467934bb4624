import { readFileSync } from 'node:fs';
import { SignJWT } from 'jose';
import { generateKeySet, parseKeySet } from '../src/account/token-key.ts';
import type { Database, Person, Postgres } from './database.ts';
import type { HeapMethods } from './heap.ts';
import type { Crowd } from './load.ts';
import type { PeerMethods } from './peers/peer.ts';
import { type Program, startHelper, startServer } from './process.ts';
import type { Remote } from './remote.ts';

/** A server under measurement. */
export type Server = Program & { name: string; port: number };

/**
 * This server, on its own database. `admit` returns a Crowd in which each of these users subscribes to all their
 * events.
 */
export type Parley = Server & {
  database: Database;
  /** Works only if heap-watch.ts is loaded. */
  remote: Remote<HeapMethods>;
  admit: (people: readonly Person[]) => Promise<Crowd>;
};

/** A server for comparison with parley. `publish` returns when `count` events are on their way to its subscribers. */
export type Peer = Server & { publish: (count: number) => Promise<void>; admit: (count: number) => Crowd };

/** The keys below, in JWT_KEYS format. */
export const keySet = generateKeySet();
/** The key that signs every server's tokens. */
export const keys = parseKeySet(keySet);

/**
 * Starts this server with production settings, except for limits that one machine with thousands of clients would
 * reach.
 */
export async function startParley(
  postgres: Postgres,
  options: {
    profileFolder?: string | undefined;
    nodeFlags?: string[];
    settings?: Record<string, string>;
    /** The database of another node, if this server is to run alongside that node. */
    database?: Database;
  } = {},
): Promise<Parley> {
  const database = options.database ?? (await postgres.createDatabase());
  const { profileFolder, nodeFlags = [], settings = {} } = options;
  const program = await startServer<HeapMethods>('src/main.ts', {
    settings: {
      PORT: '0',
      DATABASE_URL: database.url,
      JWT_KEYS: keySet,
      LOG_LEVEL: 'info',
      MAX_STREAMS_PER_ADDRESS: '100000',
      MAX_STREAMS_PER_SESSION: '100',
      RATE_LIMITS: 'off',
      ...settings,
    },
    nodeFlags: [
      ...productionFlags(),
      ...nodeFlags,
      ...(profileFolder === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${profileFolder}`]),
    ],
  });
  const port = Number(new URL(program.url).port);
  return {
    ...program,
    name: 'parley',
    port,
    database,
    admit: async (people) => ({
      port,
      path: '/graphql/stream',
      count: people.length,
      tokens: await Promise.all(people.map(signToken)),
      sendsCaughtUp: true,
    }),
  };
}

/** The flags that `npm start` passes to Node. */
function productionFlags(): string[] {
  const { scripts } = JSON.parse(readFileSync('package.json', 'utf8')) as { scripts: { start: string } };
  return scripts.start.match(/--\S+/g) ?? [];
}

/** The servers that parley's streams are compared with. */
export const peerNames = ['bare', 'graphql-sse', 'yoga'] as const;

/** Starts a server that parley is compared with. */
export async function startPeer(name: (typeof peerNames)[number], nodeFlags: string[] = []): Promise<Peer> {
  const { remote, ...program } = startHelper<PeerMethods>(`bench/peers/${name}.ts`, { nodeFlags });
  const port = await remote.call('listen');
  return {
    ...program,
    name,
    port,
    publish: (count) => remote.call('publish', { count }),
    admit: (count) => ({ port, path: '/graphql', count, sendsCaughtUp: false }),
  };
}

/** Signs an access token like those of src/account/token.ts that is valid for the entire run. */
export function signToken({ userId, sessionId }: Person): Promise<string> {
  return new SignJWT({ sid: sessionId })
    .setProtectedHeader({ alg: 'EdDSA', kid: keys.signing.kid, typ: 'JWT' })
    .setIssuer('parley')
    .setAudience('parley')
    .setSubject(userId)
    .setIssuedAt()
    .setExpirationTime('24h')
    .sign(keys.signing.key);
}
