import { type Logger, pino } from 'pino';
import { prettyFactory } from 'pino-pretty';
import { requestScope } from './core/request-scope.ts';
import { describeFault } from './errors.ts';

/**
 * The names of the properties that are hidden in the top three levels of every log entry: secrets, user content, and
 * data that identifies users.
 */
const hiddenNames = [
  'password',
  'passwordHash',
  'accessToken',
  'refreshToken',
  'token',
  'authorization',
  'cookie',
  'email',
  'content',
  'variables',
];

/**
 * Creates the server's log, which consists of JSON lines on standard output, or of readable lines if standard output is
 * a terminal. Each line that is written during a request contains the id of the request. Unless `hasFullAddresses` is
 * set, the last part of an `address` is left out.
 */
export function createLog(
  level: string,
  output: NodeJS.WritableStream = process.stdout,
  { hasFullAddresses = false } = {},
): Logger {
  const options = {
    level,
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: {
      level: (label: string) => ({ level: label }),
      ...(!hasFullAddresses && { log: maskAddress }),
    },
    mixin: describeRequest,
    serializers: { err: describeFault },
    redact: {
      paths: hiddenNames.flatMap((name) => [name, `*.${name}`, `*.*.${name}`]),
      censor: '[hidden]',
    },
  };
  if (!('isTTY' in output && output.isTTY)) return pino(options, output);
  // pino-pretty's own stream is not used, because it writes asynchronously and would lose the last line before an exit.
  const format = prettyFactory({ ignore: 'pid,hostname', translateTime: 'SYS:HH:MM:ss', colorize: true });
  return pino(options, { write: (line) => void output.write(format(line)) });
}

function describeRequest(): Record<string, string> {
  const scope = requestScope.getStore();
  if (scope === undefined) return {};
  const { requestId, traceId } = scope;
  return traceId === null ? { requestId } : { requestId, traceId };
}

/** Masks an address: keeps the first three bytes of an IPv4 address, or the first three groups of an IPv6 address. */
function maskAddress(line: Record<string, unknown>): Record<string, unknown> {
  const { address } = line;
  if (typeof address !== 'string') return line;
  const [, network] = /^(\d+\.\d+\.\d+)\.\d+$/.exec(address) ?? [];
  const masked = network === undefined ? `${address.split(':').slice(0, 3).join(':')}::/48` : `${network}.0/24`;
  return { ...line, address: address.includes(':') || network !== undefined ? masked : address };
}
