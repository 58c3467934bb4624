import type pg from 'pg';
import { vi } from 'vitest';
import { connectTo } from './server-process.ts';

/** Adds a user, as psql would. */
export const addUser = (sql: pg.Pool, name: string) =>
  sql.query(`insert into users (username, email) values ($1, $1 || '@example.com')`, [name]);

/** Returns how many users the embedded database in that folder has. */
export const countUsers = async (dataDir: string) =>
  (await (await connectTo(dataDir)).query<{ count: number }>('select count(*)::int from users')).rows[0]?.count;

/** Returns whether the server at this address reports that it is ready. */
export const isReady = async (url: string) => (await fetch(`${url}/readyz`).catch(() => null))?.status === 200;

/** Retries the check until it succeeds. */
export const eventually = <T>(check: () => Promise<T>) => vi.waitFor(check, { timeout: 30_000, interval: 50 });
