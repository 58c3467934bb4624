import { randomBytes } from 'node:crypto';
import { inspectDatabase, openConnection } from '../postgres/inspection.ts';
import { fail, ok, warn, type Check, type Finding } from './check.ts';

/**
 * The settings for reaching the database: the URL for the pool, a URL that bypasses any pooler, and the size of the
 * pool.
 */
export type DatabasePlace = { url: string; directUrl: string; poolSize: number };

/** The maximum duration of a statement, in ms. */
const limitMs = 4_000;
/** The maximum time that a notification may take to arrive, in ms. */
const notifyMs = 2_000;
/** The number of connections that a node uses in addition to its pool: for searches and for LISTEN. */
const furtherConnections = 4;
/** The differences between the clocks, in ms, above which tokens and measured delays are unreliable or wrong. */
const skewMs = { suspicious: 1_000, wrong: 30_000 };

/** Lists the checks for the database. */
export function databaseChecks(place: DatabasePlace): Check[] {
  return [
    { name: 'database', run: () => checkDatabase(place) },
    { name: 'database settings', run: () => checkSettings(place) },
    { name: 'connections', run: () => checkConnections(place) },
    { name: 'clock', run: () => checkClock(place) },
    { name: 'LISTEN', run: () => checkListen(place) },
  ];
}

async function checkDatabase({ url, directUrl }: DatabasePlace): Promise<Finding[]> {
  await inspectDatabase(directUrl);
  const version = await readValue<string>(url, `select current_setting('server_version') as value`);
  return [ok(`PostgreSQL ${version}, UTF8, accepts writes`)];
}

async function checkSettings({ directUrl }: DatabasePlace): Promise<Finding[]> {
  const read = (name: string) => readValue<string>(directUrl, `select current_setting('${name}') as value`);
  const findings: Finding[] = [];
  for (const name of ['fsync', 'full_page_writes']) {
    if ((await read(name)) === 'off')
      findings.push(fail(`${name} is off: a crash of the machine destroys the database. Set ${name} = on.`));
  }
  if ((await read('autovacuum')) === 'off')
    findings.push(fail('autovacuum is off: tables grow forever. Set autovacuum = on.'));
  if ((await read('synchronous_commit')) === 'off')
    findings.push(warn('synchronous_commit is off: parley turns it on for its own commits.'));
  return findings.length > 0 ? findings : [ok('fsync, full_page_writes and autovacuum are on')];
}

async function checkConnections({ directUrl, poolSize }: DatabasePlace): Promise<Finding[]> {
  const most = await readValue<number>(
    directUrl,
    `select (current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int
      - coalesce(current_setting('reserved_connections', true)::int, 0)) as value`,
  );
  const perNode = poolSize + furtherConnections;
  const nodes = Math.floor(most / perNode);
  const sum = `a node takes up to ${perNode} of the ${most} connections (DATABASE_POOL_SIZE ${poolSize}, ${furtherConnections} more)`;
  if (nodes === 0) return [fail(`${sum}: raise max_connections, or lower DATABASE_POOL_SIZE.`)];
  if (nodes === 1)
    return [warn(`${sum}: there is no room for a second node. Raise max_connections before you add one.`)];
  return [ok(`${sum}: enough for ${nodes} nodes`)];
}

async function checkClock({ directUrl }: DatabasePlace): Promise<Finding[]> {
  const client = await openConnection(directUrl, { limitMs });
  try {
    const sentAt = Date.now();
    const { rows } = await client.query<{ ms: number }>(
      'select extract(epoch from clock_timestamp())::float8 * 1000 as ms',
    );
    const differenceMs = Math.round(Number(rows[0]?.ms) - (sentAt + Date.now()) / 2);
    const text = `this machine and PostgreSQL differ by ${Math.abs(differenceMs)} ms`;
    const advice = `${text}: synchronize both clocks (chrony or systemd-timesyncd).`;
    if (Math.abs(differenceMs) >= skewMs.wrong) return [fail(advice)];
    return [Math.abs(differenceMs) >= skewMs.suspicious ? warn(advice) : ok(text)];
  } finally {
    await client.end();
  }
}

async function checkListen({ url, directUrl }: DatabasePlace): Promise<Finding[]> {
  const channel = `parley_doctor_${randomBytes(8).toString('hex')}`;
  const listener = await openConnection(directUrl, { limitMs });
  try {
    const heard = new Promise<boolean>((resolve) => {
      listener.on('notification', () => resolve(true));
      setTimeout(() => resolve(false), notifyMs).unref();
    });
    await listener.query(`listen ${channel}`);
    await readValue(url, `select pg_notify('${channel}', '') is null as value`);
    if (await heard) return [ok('notifications arrive')];
    return [
      fail(
        'a notification did not arrive, so events would be up to a second late: behind a transaction pooler such as PgBouncer, set DATABASE_DIRECT_URL to PostgreSQL itself.',
      ),
    ];
  } finally {
    await listener.end();
  }
}

async function readValue<Value>(url: string, text: string): Promise<Value> {
  const client = await openConnection(url, { limitMs });
  try {
    const { rows } = await client.query<{ value: Value }>(text);
    if (rows[0] === undefined) throw new Error('PostgreSQL returned no row');
    return rows[0].value;
  } finally {
    await client.end();
  }
}
