import { type Logger, pino } from 'pino';
import { prettyFactory } from 'pino-pretty';
import { describeFault } from './errors.ts';

/** Removed from the top three levels of every log entry: secrets, and what users write or are identified by. */
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

/** The server's log: lines of JSON on standard output, or readable lines if that is a terminal. */
export function createLog(level: string, output: NodeJS.WritableStream = process.stdout): Logger {
  const options = {
    level,
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label: string) => ({ level: label }) },
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
