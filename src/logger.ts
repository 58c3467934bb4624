import { type Logger, pino } from 'pino';
import { prettyFactory } from 'pino-pretty';
import { requestScope } from './core/request-scope.ts';
import { describeFault } from './errors.ts';

/** Hidden in the top three levels of every log entry: secrets, user content, and what identifies users. */
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
 * The server's log: lines of JSON on standard output, or readable lines if that is a terminal. Each line that is
 * written for a request contains the request's id. The last part of an `address` is left out unless `hasFullAddresses`.
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
  // Not pino-pretty's stream, which writes asynchronously and would lose the last line before an exit.
  const format = prettyFactory({ ignore: 'pid,hostname', translateTime: 'SYS:HH:MM:ss', colorize: true });
  return pino(options, { write: (line) => void output.write(format(line)) });
}

function describeRequest(): Record<string, string> {
  const scope = requestScope.getStore();
  if (scope === undefined) return {};
  const { requestId, traceId } = scope;
  return traceId === null ? { requestId } : { requestId, traceId };
}

/** Keeps the first three bytes of an IPv4 address, or the first three groups of an IPv6 address. */
function maskAddress(line: Record<string, unknown>): Record<string, unknown> {
  const { address } = line;
  if (typeof address !== 'string') return line;
  const [, network] = /^(\d+\.\d+\.\d+)\.\d+$/.exec(address) ?? [];
  const masked = network === undefined ? `${address.split(':').slice(0, 3).join(':')}::/48` : `${network}.0/24`;
  return { ...line, address: address.includes(':') || network !== undefined ? masked : address };
}
