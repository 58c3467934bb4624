import { createLru } from './lru.ts';
import { createHash } from 'node:crypto';
import {
  RateLimiterMemory,
  RateLimiterPostgres,
  RateLimiterRedis,
  RateLimiterRes,
  type RateLimiterAbstract,
} from 'rate-limiter-flexible';
import { RateLimited } from '../errors.ts';
import { hasUser, type Caller } from './asker.ts';
import { limitRules, type Activity, type LimitName, type Quota, type Quotas } from './limit.ts';
import { noMetrics, type Metrics } from './metric.ts';
import type { Report } from './report.ts';
import { requestScope } from './request-scope.ts';

/**
 * The number of recently reported keys to remember, so that a key that keeps exceeding its limit is reported only once
 * per window.
 */
const maxReported = 10_000;

/**
 * The subject whose quota is used. A network or email address is hashed before it is stored in PostgreSQL or Redis.
 * `email` stands for an account that may not exist; it is never logged.
 */
export type Counted = { userId?: bigint; sessionId?: bigint; keyId?: bigint; address?: string; email?: string };

/** The user or program that performs an action, and the network address of the request. */
export type Actor = { asker: Caller; address: string };

/** The pool of PostgreSQL connections on which the shared limits run their statements. */
export type LimitStore = { query: (statement: { text: string; values?: unknown[]; name?: string }) => Promise<Result> };
type Result = { rows: Record<string, unknown>[]; rowCount: number | null };

/**
 * Counters in Redis that all nodes share: `client` has the methods of ioredis that rate-limiter-flexible calls, and
 * each key begins with `prefix`. While Redis is failing, each limit uses the counter that it would use without Redis.
 */
export type SharedCounters = { client: object; prefix: string };

/** Deletes up to `limit` counters whose window has ended, and returns how many it deleted. */
export async function pruneLimits(store: LimitStore, limit: number): Promise<number> {
  const { rowCount } = await store.query({
    text: `delete from rate_limits where key in (select key from rate_limits where expire < $1 limit $2)`,
    values: [Date.now(), limit],
  });
  return rowCount ?? 0;
}

/**
 * How much of a quota an action uses: either `count` actions, which are all allowed or all refused together, or one
 * action of this `weight`. If an action is heavier than the whole quota, an unused quota still allows it, and the
 * action uses up the quota.
 */
export type Use = { count?: number; weight?: number };

/**
 * How much of a quota is left, and how many seconds remain until its window ends. `setting` is the name of the setting
 * that configures the limit.
 */
export type LimitState = { setting: string; quota: Quota; remaining: number; resetSeconds: number };

/** Counts requests and refuses those beyond a quota. Each server has one instance. */
export class RateLimits {
  readonly #quotas: Quotas;
  readonly #report: Report;
  readonly #isHashed: (name: LimitName) => boolean;
  readonly #metrics: Metrics;
  readonly #limiters = new Map<LimitName, RateLimiterAbstract>();
  readonly #reported = createLru<string, true>(maxReported);

  /** If `quotas` is null, nothing is refused. */
  constructor({
    quotas,
    store,
    counters = null,
    report,
    metrics = noMetrics,
  }: {
    quotas: Quotas;
    store: LimitStore;
    counters?: SharedCounters | null;
    report: Report;
    metrics?: Metrics;
  }) {
    this.#metrics = metrics;
    this.#quotas = quotas;
    this.#report = report;
    this.#isHashed = (name) => counters !== null || limitRules[name].isShared;
    for (const name of quotas === null ? [] : (Object.keys(limitRules) as LimitName[])) {
      this.#limiters.set(name, createLimiter(name, quotas?.[name], { store, counters }));
    }
  }

  /**
   * Counts an activity against the quotas of the session, the account and the address, in this order. If the session's
   * quota refuses the activity, it does not count against the account's quota. For programs, an activity counts per
   * session and per account but never per address. A server key that names no user works for many users, so it has a
   * single quota, as large as the quota of an address. Throws RateLimited in the same cases as `take`. Returns the
   * state of the limit that has the smallest share left, or null if limits are off.
   */
  async count(activity: Activity, { asker, address }: Actor, use: Use = {}): Promise<LimitState | null> {
    if (this.#quotas === null) return null;
    if (!hasUser(asker)) return this.take(`${activity}PerAddress`, { keyId: asker.keyId }, use);
    const session = await this.take(`${activity}PerSession`, { sessionId: asker.sessionId }, use);
    const account = await this.take(activity, { userId: asker.userId }, use);
    const network = asker.kind === 'KEY' ? null : await this.take(`${activity}PerAddress`, { address }, use);
    return tightest([session, account, network]);
  }

  /**
   * Uses up part of a quota. If the quota is used up, throws a RateLimited that says when the window ends. The
   * first refusal in each window is reported to the operator. Returns the state of the limit, or null if limits are
   * off.
   */
  async take(name: LimitName, counted: Counted, { count = 1, weight }: Use = {}): Promise<LimitState | null> {
    const [limiter, quota] = [this.#limiters.get(name), this.#quotas?.[name]];
    if (limiter === undefined || quota === undefined) return null;
    const key = keyOf(counted, this.#isHashed(name));
    try {
      const points = weight === undefined ? count : Math.min(weight, quota.count);
      const { remainingPoints, msBeforeNext } = await limiter.consume(key, points);
      const resetSeconds = Math.max(1, Math.ceil(msBeforeNext / 1000));
      return { setting: limitRules[name].setting, quota, remaining: remainingPoints, resetSeconds };
    } catch (error) {
      if (!(error instanceof RateLimiterRes)) throw error;
      throw this.#refuse(name, { counted, quota, key, waitMs: error.msBeforeNext });
    }
  }

  /** Uses one unit of a quota, and returns whether there was one left. */
  async tries(name: LimitName, counted: Counted): Promise<boolean> {
    try {
      await this.take(name, counted);
      return true;
    } catch (error) {
      if (error instanceof RateLimited) return false;
      throw error;
    }
  }

  /** Throws RateLimited if the quota is already used up. Does not use any of the quota. */
  async refuseExhausted(name: LimitName, counted: Counted): Promise<void> {
    const [limiter, quota] = [this.#limiters.get(name), this.#quotas?.[name]];
    if (limiter === undefined || quota === undefined) return;
    const key = keyOf(counted, this.#isHashed(name));
    const state = await limiter.get(key);
    if (state === null || state.consumedPoints < quota.count) return;
    throw this.#refuse(name, { counted, quota, key, waitMs: state.msBeforeNext });
  }

  /** Gives back one unit, for an action that should not have been counted. */
  async giveBack(name: LimitName, counted: Counted): Promise<void> {
    await this.#limiters.get(name)?.reward(keyOf(counted, this.#isHashed(name)), 1);
  }

  /** Restores the full quota. */
  async forgive(name: LimitName, counted: Counted): Promise<void> {
    await this.#limiters.get(name)?.delete(keyOf(counted, this.#isHashed(name)));
  }

  #refuse(
    name: LimitName,
    { counted, quota, key, waitMs }: { counted: Counted; quota: Quota; key: string; waitMs: number },
  ): RateLimited {
    const retryAfterSeconds = Math.max(1, Math.ceil(waitMs / 1000));
    this.#metrics.count('rateLimitRefusals', { setting: limitRules[name].setting });
    const scope = requestScope.getStore();
    if (scope !== undefined) scope.isRefusalLogged = true;
    const reported = `${name} ${key}`;
    if (!this.#reported.has(reported)) {
      this.#reported.set(reported, true, { ttl: quota.windowSeconds * 1000 });
      const { email: _, ...who } = counted;
      const told = Object.fromEntries(Object.entries(who).map(([part, value]) => [part, String(value)]));
      this.#report('warn', 'a rate limit was reached', { limit: limitRules[name].setting, ...told });
    }
    return new RateLimited(limitRules[name].message, retryAfterSeconds, { limit: limitRules[name].setting, ...quota });
  }
}

/** Returns the state of the limit that has the smallest share of its quota left. */
export function tightest(states: readonly (LimitState | null)[]): LimitState | null {
  let found: LimitState | null = null;
  for (const each of states) if (each !== null && (found === null || shareOf(each) < shareOf(found))) found = each;
  return found;
}

function shareOf({ remaining, quota }: LimitState): number {
  return remaining / quota.count;
}

function createLimiter(
  name: LimitName,
  quota: Quota | undefined,
  { store, counters }: { store: LimitStore; counters: SharedCounters | null },
): RateLimiterAbstract {
  if (quota === undefined) throw new Error(`there is no quota for ${name}`);
  const options = { keyPrefix: name, points: quota.count, duration: quota.windowSeconds };
  // Once a key is over its quota, refusing further requests costs the database or Redis nothing.
  const inMemoryBlockOnConsumed = quota.count + 1;
  const usual = limitRules[name].isShared
    ? new RateLimiterPostgres({
        ...options,
        storeClient: { query: (statement: Parameters<LimitStore['query']>[0]) => queryWithNumbers(store, statement) },
        storeType: 'client',
        tableName: 'rate_limits',
        tableCreated: true,
        clearExpiredByTimeout: false,
        inMemoryBlockOnConsumed,
      })
    : new RateLimiterMemory(options);
  if (counters === null) return usual;
  return new RateLimiterRedis({
    ...options,
    keyPrefix: `${counters.prefix}${name}`,
    storeClient: counters.client,
    inMemoryBlockOnConsumed,
    insuranceLimiter: usual,
  });
}

/**
 * Runs a statement and converts bigints to numbers: the library expects int8 columns to be numbers, but the server's
 * connections read them as bigint.
 */
async function queryWithNumbers(store: LimitStore, statement: Parameters<LimitStore['query']>[0]): Promise<Result> {
  const result = await store.query(statement);
  const rows = result.rows.map((row) =>
    Object.fromEntries(
      Object.entries(row).map(([name, value]) => [name, typeof value === 'bigint' ? Number(value) : value]),
    ),
  );
  return { ...result, rows };
}

/**
 * Returns a short key. In PostgreSQL and Redis, email addresses and network addresses are stored only as hashes. In
 * memory, they are not hashed, because hashing them would cost more than counting the requests.
 */
function keyOf({ userId, sessionId, keyId, address, email }: Counted, isHashed: boolean): string {
  const text = [userId, sessionId, keyId, address, email?.toLowerCase()].map((part) => String(part ?? '')).join('\n');
  if (!isHashed || (address === undefined && email === undefined)) return text;
  return createHash('sha256').update(text).digest('base64url');
}
