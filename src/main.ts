import process from 'node:process';
import type { Logger } from 'pino';
import type { App } from './app.ts';
import { readConfig } from './config.ts';
import { CannotStart } from './errors.ts';
import { createLog } from './logger.ts';

/**
 * Docker kills a container ten seconds after asking it to stop, so anything that has not finished this long after
 * STOP_DELAY is cut off.
 */
const maxStopMs = 9_000;

/**
 * npm forwards the Ctrl-C that the terminal has already sent to this process, so a second signal within this time
 * counts as the same signal.
 */
const echoMs = 500;

try {
  const config = readConfig(process.env);
  const log = createLog(config.logLevel, process.stdout, { hasFullAddresses: config.logAddresses === 'full' });
  // This event also covers unhandled rejections.
  process.on('uncaughtException', (error) => fail(log, error));
  // The application is loaded only now, so that a mistake in the settings is reported at once.
  const { start } = await import('./app.ts');
  const starting = start(config, log, { terminal: process.stdout.isTTY ? process.stdout : undefined });
  stopOnSignals(starting, log, maxStopMs + (config.stopDelayMs ?? 0));
  await starting;
} catch (error) {
  fail(createLog('info'), error);
}

/**
 * Ends the process. An error that the operator can fix needs no stack; any other error is a server fault and is logged
 * in full.
 */
function fail(log: Logger, error: unknown): never {
  if (error instanceof CannotStart) log.fatal(error.message);
  else log.fatal({ err: error }, 'the server crashed');
  process.exit(1);
}

/**
 * Makes the first signal stop the server gracefully, even while the server is starting, and a second signal end it
 * immediately.
 */
function stopOnSignals(starting: Promise<App>, log: Logger, limitMs: number): void {
  let askedAt: number | null = null;
  const stop = async (signal: string) => {
    if (askedAt !== null) {
      if (performance.now() - askedAt > echoMs) process.exit(1);
      return;
    }
    askedAt = performance.now();
    log.info(`stopping (${signal})`);
    setTimeout(() => fail(log, new Error(`The server could not stop within ${limitMs} ms.`)), limitMs).unref();
    const app = await starting;
    await app.close();
    log.info('stopped');
    process.exit(0);
  };
  // SIGHUP means that the terminal was closed. If it were not handled, the database would be left running.
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => void stop(signal));
}
