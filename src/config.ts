import { z } from 'zod';
import { parseKeySet } from './account/token-key.ts';
import { accountSettings } from './account-setting.ts';
import { readEnvironment } from './environment.ts';
import { identitySettings } from './identity-setting.ts';
import {
  anyText,
  durationMs,
  onOrOff,
  parsedBy,
  postgresUrl,
  redisUrl,
  quotaSettings,
  readSettings,
  wholeNumber,
  type Setting,
  type ValuesOf,
} from './setting.ts';
import { streamSettings } from './stream-setting.ts';
import { documentSettings } from './document-setting.ts';
import { minAuditRetentionMs } from './log/audit-log.ts';
import { fileSettings } from './file-setting.ts';
import { monitoringSettings } from './monitoring-setting.ts';

const jwtKeys = parsedBy(parseKeySet).describe('a JWK set of Ed25519 keys, as printed by `npm run -s keys`');

const roles = z
  .string()
  .transform((value) => value.split(','))
  .pipe(z.array(z.enum(['api', 'streams'])).nonempty())
  .describe('api, streams, or both, separated by a comma');

const origins = z
  .string()
  .refine((value) => value === '*' || value.split(',').every((each) => URL.parse(each)?.origin === each.trim()))
  .describe('*, or origins separated by commas, e.g. https://chat.example.com');

/** The maximum STOP_DELAY. It is longer than any load balancer needs to notice that a node is stopping. */
const maxStopDelayMs = 600_000;

/** All settings, by their names in Config. A test compares docs/configuration.md with this table of settings. */
export const settings = {
  port: {
    name: 'PORT',
    default: '4000',
    wants: wholeNumber(0, 65_535),
    meaning: 'The port to listen on; 0 picks a free port.',
  },
  host: {
    name: 'HOST',
    default: '127.0.0.1',
    wants: anyText,
    meaning:
      'The address to listen on. With `0.0.0.0` or `::`, other machines can connect, which is required in a container.',
  },
  databaseUrl: {
    name: 'DATABASE_URL',
    default: null,
    wants: postgresUrl,
    meaning:
      'Your own PostgreSQL server (15 or newer). Without this setting, the server runs its own PostgreSQL in DATA_DIR.',
    isSecret: true,
  },
  databaseDirectUrl: {
    name: 'DATABASE_DIRECT_URL',
    default: null,
    wants: postgresUrl,
    meaning:
      'A URL for the same database that bypasses any transaction pooler, for LISTEN and migrations. Default: DATABASE_URL.',
    isSecret: true,
  },
  databasePoolSize: {
    name: 'DATABASE_POOL_SIZE',
    default: '10',
    wants: wholeNumber(1, 1_000),
    meaning:
      'The maximum number of connections to the database, not counting up to five more for searches, LISTEN and startup.',
  },
  redis: {
    name: 'REDIS_URL',
    default: null,
    wants: redisUrl,
    meaning: 'A Redis or Valkey server, Cluster or Sentinel that the nodes share. See [operating](operating.md#redis).',
    isSecret: true,
  },
  dataDir: {
    name: 'DATA_DIR',
    default: '.data',
    wants: anyText,
    meaning: 'The folder for the embedded PostgreSQL, the keys and the files.',
  },
  jwtKeys: {
    name: 'JWT_KEYS',
    default: null,
    wants: jwtKeys,
    meaning:
      'The keys for tokens, file links and webhook secrets. The first key signs and encrypts; all keys verify and decrypt. Required with DATABASE_URL; otherwise, the server generates them in DATA_DIR.',
    isSecret: true,
  },
  ...identitySettings,
  ...fileSettings,
  logLevel: {
    name: 'LOG_LEVEL',
    default: 'info',
    wants: z
      .enum(['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'])
      .describe('trace, debug, info, warn, error, fatal or silent'),
    meaning: 'The lowest level of messages that are logged.',
  },
  ...monitoringSettings,
  serve: {
    name: 'SERVE',
    default: 'api,streams',
    wants: roles,
    meaning: 'What this node serves: queries and mutations, event streams, or both.',
  },
  ...accountSettings,
  corsOrigin: {
    name: 'CORS_ORIGIN',
    default: '*',
    wants: origins,
    meaning:
      'The origins whose pages may call the API from a browser. The API does not use cookies for authorization, so any origin is safe.',
  },
  webPage: {
    name: 'WEB_PAGE',
    default: 'on',
    wants: onOrOff,
    meaning: 'Whether a node with the role `api` serves the chat page at `/`.',
  },
  trustedProxies: {
    name: 'TRUST_PROXY',
    default: '0',
    wants: wholeNumber(0, 10),
    meaning:
      'The number of reverse proxies in front of the server. The server trusts that many entries of X-Forwarded-For, counted from the end.',
  },
  eventRetentionMs: {
    name: 'EVENT_RETENTION',
    default: '7d',
    wants: durationMs,
    meaning: 'How long events are stored, and therefore how long a client can be away and still catch up.',
  },
  auditRetentionMs: {
    name: 'AUDIT_RETENTION',
    default: '365d',
    wants: durationMs
      .refine((ms) => ms >= minAuditRetentionMs)
      .describe('a number with a unit: s, m, h or d, and at least 30d'),
    meaning: 'How long the audit log stores its entries.',
  },
  keepAliveMs: {
    name: 'KEEP_ALIVE_TIMEOUT',
    default: '65s',
    wants: durationMs,
    meaning:
      'How long an idle connection stays open. Make this longer than the idle timeout of your load balancer (Google: 600s).',
  },
  stopDelayMs: {
    name: 'STOP_DELAY',
    default: null,
    wants: durationMs.refine((ms) => ms <= maxStopDelayMs).describe('a number with a unit, e.g. 5s, and at most 10m'),
    meaning:
      'How long a node that was asked to stop still accepts connections, while /readyz returns 503. Make this longer than your load balancer takes to notice the 503. After that, the node serves its open connections for at most six more seconds. Default: it stops immediately.',
  },
  maxConnections: {
    name: 'MAX_CONNECTIONS',
    default: '20000',
    wants: wholeNumber(0, 1_000_000),
    meaning:
      'The maximum number of open connections to this node; further connections are closed immediately. 0 means no limit.',
  },
  maxConnectionsPerAddress: {
    name: 'MAX_CONNECTIONS_PER_ADDRESS',
    default: '5000',
    wants: wholeNumber(0, 1_000_000),
    meaning:
      'The maximum number of open connections to this node per network address; ignored if TRUST_PROXY is set. 0 means no limit.',
  },
  ...streamSettings,
  ...documentSettings,
  rateLimits: {
    name: 'RATE_LIMITS',
    default: 'on',
    wants: onOrOff,
    meaning: '`off` disables all rate limits, for benchmarks.',
  },
  ...quotaSettings(),
} satisfies Record<string, Setting>;

/**
 * The parsed settings: numbers as numbers, durations in milliseconds, and null for optional settings that are not set.
 */
export type Config = ValuesOf<typeof settings>;

const settingNames = Object.values(settings).map(({ name }) => name);

/**
 * Reads every setting. Throws a single CannotStart that lists all invalid settings, each with the expected and the
 * actual value (except for secrets). An empty value counts as not set. For settings in files, see environment.ts.
 */
export function readConfig(env: Record<string, string | undefined>): Config {
  const { values, problems } = readEnvironment(env, settingNames);
  return readSettings(values, settings, [...problems, ...findMissing(values)]);
}

const { databaseUrl, databaseDirectUrl, databasePoolSize, dataDir, fileStore, fileServing, appUrl } = settings;

/**
 * Reads only the settings that commands other than the server need: the locations of the database and the files, and
 * the address to which links lead. Throws CannotStart under the same conditions as `readConfig`.
 */
export function readCommandConfig(
  env: Record<string, string | undefined>,
): Pick<
  Config,
  'databaseUrl' | 'databaseDirectUrl' | 'databasePoolSize' | 'dataDir' | 'fileStore' | 'fileServing' | 'appUrl'
> {
  const { values, problems } = readEnvironment(env, settingNames);
  const table = {
    databaseUrl,
    databaseDirectUrl,
    databasePoolSize,
    dataDir,
    fileStore,
    fileServing,
    appUrl,
  };
  return readSettings(values, table, problems);
}

function findMissing(env: Record<string, string | undefined>): string[] {
  const problems: string[] = [];
  if (env['DATABASE_URL'] && !env['JWT_KEYS']) {
    problems.push(
      'JWT_KEYS: required with DATABASE_URL, because all nodes share the keys (got nothing; `npm run -s keys` prints a new set)',
    );
  }
  if (env['DATABASE_DIRECT_URL'] && !env['DATABASE_URL']) {
    problems.push('DATABASE_DIRECT_URL: requires DATABASE_URL, which is not set');
  }
  if (env['PASSWORDS'] === 'false' && !env['AUTH_ISSUERS']) {
    problems.push('PASSWORDS: "false" requires AUTH_ISSUERS, which is not set');
  }
  for (const name of ['MAIL_FROM', 'APP_URL']) {
    if (env['SMTP_URL'] && !env[name]) problems.push(`${name}: required with SMTP_URL (got nothing)`);
  }
  if (env['TRUSTED_DOCUMENTS_ONLY'] === 'true' && !env['TRUSTED_DOCUMENTS']) {
    problems.push('TRUSTED_DOCUMENTS_ONLY: "true" requires TRUSTED_DOCUMENTS, which is not set');
  }
  if (env['FILE_SERVING'] === 'redirect' && !env['FILE_STORE']) {
    problems.push('FILE_SERVING: "redirect" requires FILE_STORE, which is not set');
  }
  return problems;
}
