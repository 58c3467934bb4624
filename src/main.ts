import process from 'node:process';
import type { Logger } from 'pino';
import { type App, start } from './app.ts';
import { readConfig } from './config.ts';
import { CannotStart } from './errors.ts';
import { createLog } from './logger.ts';

/** Whoever stops us kills after ten seconds (Docker's patience): what is not over by now is cut off. */
const maxStopMs = 9_000;

/** npm passes on the Ctrl-C that the terminal has sent to us already: what comes this soon is the same signal. */
const echoMs = 500;

try {
  const config = readConfig(process.env);
  const log = createLog(config.logLevel);
  // Rejections that nobody handles come here too.
  process.on('uncaughtException', (error) => fail(log, error));
  const starting = start(config, log);
  stopOnSignals(starting, log);
  await starting;
} catch (error) {
  fail(createLog('info'), error);
}

/** What an operator can mend needs no stack; a fault of ours is logged whole. */
function fail(log: Logger, error: unknown): never {
  if (error instanceof CannotStart) log.fatal(error.message);
  else log.fatal({ err: error }, 'the server crashed');
  process.exit(1);
}

/** The first signal stops the server in good order, also one that is still starting; another ends it at once. */
function stopOnSignals(starting: Promise<App>, log: Logger): void {
  let askedAt: number | null = null;
  const stop = async (signal: string) => {
    if (askedAt !== null) {
      if (performance.now() - askedAt > echoMs) process.exit(1);
      return;
    }
    askedAt = performance.now();
    log.info(`stopping (${signal})`);
    setTimeout(() => fail(log, new Error(`not stopped after ${maxStopMs} ms`)), maxStopMs).unref();
    const app = await starting;
    await app.close();
    log.info('stopped');
    process.exit(0);
  };
  // SIGHUP: the terminal was closed. Without us the database would stay behind.
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => void stop(signal));
}
