import type { Cluster, Redis } from 'ioredis';
import type { Report } from '../core/report.ts';
import type { Channels, Subscription } from './channels.ts';
import { loadRedisClients, redisTimes, type RedisClients } from './client.ts';
import type { RedisTarget } from './redis-url.ts';
import { Subscriber } from './subscriber.ts';

/** How often the connection for commands is checked, in ms. */
const checkMs = 1_000;
/** The maximum number of commands that may wait for an answer. Further commands fail immediately. */
const maxWaiting = 10_000;

/** Redis is unavailable, or did not answer in time. The command may still have been executed. */
export class RedisAway extends Error {}

/**
 * This node's connections to Redis. While Redis is unavailable, every command fails immediately. A command that gets no
 * answer fails after a second. From then on, all commands fail immediately until Redis answers again. Logs one line
 * when Redis becomes unavailable, and one when it is available again.
 */
export class RedisLink implements Channels {
  readonly #commander: Redis | Cluster;
  readonly #subscriber: Subscriber;
  readonly #report: Report;
  /** True from the time when a command gets no answer until a check succeeds. */
  #isStuck = false;
  #waiting = 0;
  #refusal = '';
  #isReported: 'UP' | 'AWAY' | null = null;
  #problem: unknown = null;
  #timer: NodeJS.Timeout | null = null;
  #isChecking = false;
  #pendingSince: number | null = null;

  private constructor(clients: RedisClients, report: Report) {
    this.#report = report;
    const note = (error: unknown) => void (this.#problem = error);
    this.#commander = clients.createCommander();
    this.#commander.on('error', note);
    this.#commander.on('node error', note);
    this.#subscriber = new Subscriber(clients, note);
  }

  /**
   * Connects, but waits only a limited time for the connection, because a node does not need Redis in order to start.
   */
  static async open(target: RedisTarget, report: Report): Promise<RedisLink> {
    const link = new RedisLink(await loadRedisClients(target), report);
    link.#subscriber.open();
    await link.#connect();
    link.#tell();
    link.#timer = setInterval(() => void link.#check(), checkMs).unref();
    return link;
  }

  close(): void {
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#subscriber.close();
    this.#commander.disconnect();
  }

  get isConnected(): boolean {
    return this.#canCommand && this.#subscriber.isConnected;
  }

  /**
   * Runs a command. Throws RedisAway if Redis is unavailable or does not answer in time, and Redis's error if Redis
   * refuses the command.
   */
  async run<Value>(work: (commander: Redis | Cluster) => Promise<Value>): Promise<Value> {
    if (!this.#canCommand) {
      this.#tell();
      throw new RedisAway('Redis is unavailable');
    }
    if (this.#waiting >= maxWaiting) throw new RedisAway('too many commands wait for Redis');
    this.#waiting += 1;
    try {
      return await work(this.#commander);
    } catch (error) {
      this.#problem = error;
      if (isReply(error)) {
        this.#tellOfRefusal(error);
        throw error;
      }
      if (isTimeout(error)) this.#isStuck = true;
      this.#tell();
      throw new RedisAway('Redis did not answer', { cause: error });
    } finally {
      this.#waiting -= 1;
    }
  }

  async publish(channel: string, message: string): Promise<void> {
    await this.run((commander) => commander.spublish(channel, message));
  }

  subscribe(channel: string, onMessage: (message: string) => void): Subscription {
    return this.#subscriber.subscribe(channel, onMessage);
  }

  get #canCommand(): boolean {
    return this.#commander.status === 'ready' && !this.#isStuck;
  }

  async #connect(): Promise<void> {
    const { promise: late, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, redisTimes.connect);
    // The error that the connection itself has reported is more informative than "Connection is closed".
    await Promise.race([late, this.#commander.connect().catch((error: unknown) => void (this.#problem ??= error))]);
    clearTimeout(timer);
  }

  async #check(): Promise<void> {
    if (this.#isChecking) return;
    this.#isChecking = true;
    if (this.#commander.status === 'ready') await this.#ping();
    else this.#restartIfPending();
    this.#isChecking = false;
    this.#tell();
  }

  /** Pings every primary server, and drops the connections that do not answer. */
  async #ping(): Promise<void> {
    this.#pendingSince = null;
    const servers = 'nodes' in this.#commander ? this.#commander.nodes('master') : [this.#commander];
    const answers = await Promise.all(
      servers.map((server) => doesAnswer(server, (error) => void (this.#problem = error))),
    );
    this.#isStuck = answers.includes(false);
  }

  /** Reconnects if the connection hung before it was ready, for example because the machine is gone. */
  #restartIfPending(): void {
    const now = performance.now();
    this.#pendingSince ??= now;
    if (now - this.#pendingSince < 2 * redisTimes.connect) return;
    this.#pendingSince = null;
    if (['connecting', 'connect'].includes(this.#commander.status)) this.#commander.disconnect(true);
  }

  /** Reports a refusal, such as a missing permission, to the operator, unless it is the same as the previous one. */
  #tellOfRefusal(error: unknown): void {
    const refusal = reasonOf(error);
    if (refusal === this.#refusal) return;
    this.#refusal = refusal;
    this.#report('warn', 'Redis refuses commands', { reason: refusal });
  }

  #tell(): void {
    const state = this.#canCommand ? 'UP' : 'AWAY';
    if (state === this.#isReported) return;
    this.#isReported = state;
    if (state === 'UP') return this.#report('info', 'Redis is connected');
    this.#report('warn', 'Redis is unavailable: this node continues with PostgreSQL and its own memory', {
      reason: reasonOf(this.#problem),
    });
  }
}

/** Returns whether the server answers. If it does not, its connection is dropped. */
async function doesAnswer(server: Redis, note: (error: unknown) => void): Promise<boolean> {
  try {
    await server.ping();
    return true;
  } catch (error) {
    note(error);
    if (isTimeout(error)) server.disconnect(true);
    // A refusal, such as LOADING or NOPERM, is also an answer.
    return isReply(error);
  }
}

/** Whether Redis answered by refusing the command. */
function isReply(error: unknown): boolean {
  return error instanceof Error && error.name === 'ReplyError';
}

function isTimeout(error: unknown): boolean {
  return error instanceof Error && error.message === 'Command timed out';
}

/**
 * Returns the part of an error that may be logged: a code, or the first words of Redis's answer, which contain no user
 * data.
 */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return 'no answer';
  const { code, message } = error as NodeJS.ErrnoException;
  return code ?? message.slice(0, 80);
}
