import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { beforeAll, expect, test } from 'vitest';
import { readConfig } from '../../src/config.ts';
import { metricTable } from '../../src/core/metric.ts';
import { createPrometheusMetrics } from '../../src/prometheus.ts';
import { createGroup, say } from '../support/chat.ts';
import { signUp, type Person } from '../support/client.ts';
import { startServer, type TestServer } from '../support/server.ts';
import { followEvents } from '../support/stream.ts';

const folder = join(import.meta.dirname, '../../deploy/monitoring');

let server: TestServer;
let ada: Person;
let grace: Person;
beforeAll(async () => {
  const env = {
    METRICS_PORT: '0',
    RATE_LIMITS: 'on',
    RATE_LIMIT_TYPING_PER_SESSION: '1/1h',
    RATE_LIMIT_SIGN_UPS: '1000/1h',
  };
  server = await startServer({ env });
  [ada, grace] = await Promise.all([signUp(server, 'ada'), signUp(server, 'grace')]);
});

async function readMetrics(): Promise<string> {
  const response = await fetch(String(server.metricsUrl));
  expect(response.status).toBe(200);
  expect(response.headers.get('content-type')).toMatch(/^text\/plain/);
  return response.text();
}

/**
 * Returns the value of a series such as `parley_streams` or `parley_x_total{code="y"}`, or undefined if there is none.
 */
async function valueOf(series: string): Promise<number | undefined> {
  const line = (await readMetrics()).split('\n').find((each) => each.startsWith(`${series} `));
  return line === undefined ? undefined : Number(line.slice(series.length + 1));
}

test('metrics say what the server does', async () => {
  const chat = await createGroup(ada, [grace]);
  await using stream = await followEvents(server, grace);
  expect(await valueOf('parley_streams')).toBe(1);
  expect(await valueOf('parley_subscriptions')).toBe(1);
  expect(await valueOf('parley_subscription_groups')).toBe(1);
  const before = await valueOf('parley_stream_results_total');
  await say(ada, chat, 'Hello');
  await stream.next('NewMessage');
  expect(await valueOf('parley_stream_results_total')).toBe(Number(before) + 1);
  expect(await valueOf('parley_operation_duration_seconds_count{operation="sendMessage"}')).toBe(1);
  expect(await valueOf('parley_commit_batch_writes_count')).toBe(1);
  expect(await valueOf('parley_delivery_delay_seconds_count')).toBeGreaterThanOrEqual(1);
  expect(await valueOf('parley_event_executions_total')).toBeGreaterThanOrEqual(1);
  expect(await valueOf('parley_events_total')).toBeGreaterThanOrEqual(2);
  expect(await valueOf('parley_feed_lag_events')).toBe(0);
  expect(await valueOf('parley_database_up')).toBe(1);
  expect(await valueOf('parley_webhooks{status="ACTIVE"}')).toBe(0);
  expect(await valueOf('parley_mail_queue_length')).toBe(0);
  expect(await valueOf('process_resident_memory_bytes')).toBeGreaterThan(0);
});

test('a gauge that could not be read has no value, rather than 0', async () => {
  const metrics = await createPrometheusMetrics(() => undefined);
  let isDown = true;
  metrics.survey(async (set) => {
    if (isDown) throw new Error('the database is down');
    set('feedLagEvents', 3, {});
  });
  const lagging = /^parley_feed_lag_events (\d+)$/m;
  for (const value of [undefined, '3', undefined]) {
    isDown = value === undefined;
    const text = await metrics.print();
    expect(lagging.exec(text)?.[1]).toBe(value);
    expect(text).toContain(`parley_database_up ${isDown ? 0 : 1}`);
  }
});

test('refusals by a rate limit and failed sign-ins are counted', async () => {
  const chat = await createGroup(ada, [grace]);
  const typing = 'mutation ($chatId: ID!) { startTyping(chatId: $chatId) }';
  await ada.ask(typing, { chatId: chat });
  const refused = await server.post(typing, { chatId: chat }, { token: ada.token });
  expect(JSON.stringify(refused)).toContain('RATE_LIMITED');
  expect(await valueOf('parley_rate_limit_refusals_total{setting="RATE_LIMIT_TYPING_PER_SESSION"}')).toBe(1);

  const signIn = `mutation { signIn(input: { email: "ada@example.com", password: "wrong wrong wrong" }) { __typename } }`;
  await server.ask(signIn);
  expect(await valueOf('parley_sign_in_failures_total{method="password",code="INVALID_CREDENTIALS"}')).toBe(1);
});

test('an operation is counted under its root field, whatever a client calls it', async () => {
  const documents = [
    'query MyOwnName { viewer { user { id } } }',
    'query { ...Root } fragment Root on Query { viewer { user { id } } }',
    'query { viewer { user { id } } mine: viewer { user { username } } }',
  ];
  for (const document of documents) await ada.ask(document);
  expect(await valueOf('parley_operation_duration_seconds_count{operation="viewer"}')).toBe(documents.length);
  await ada.ask('query { viewer { user { id } } __typename }');
  expect(await valueOf('parley_operation_duration_seconds_count{operation="several"}')).toBe(1);
  expect(await readMetrics()).not.toContain('MyOwnName');
});

test('only METRICS_PORT serves metrics, and only at its path', async () => {
  expect((await fetch(`${server.url}/metrics`)).status).toBe(404);
  expect((await fetch(new URL('/', String(server.metricsUrl)))).status).toBe(404);
  expect(new URL(String(server.metricsUrl)).hostname).toBe('127.0.0.1');
  expect(readConfig({}).metricsPort).toBeNull();
});

test('promtool accepts the metrics, the alert rules and their tests', async () => {
  const checking = promisify(execFile)('promtool', ['check', 'metrics']);
  checking.child.stdin?.end(await readMetrics());
  const { stdout, stderr } = await checking;
  expect(`${stdout}${stderr}`).toBe('');
  const run = (...args: string[]) => promisify(execFile)('promtool', args, { cwd: folder });
  expect((await run('check', 'config', 'prometheus.yml')).stdout).toContain('SUCCESS');
  expect((await run('test', 'rules', 'alerts.test.yml')).stdout).toContain('SUCCESS');
});

test('the dashboard and the alert rules query only metrics that exist, and the dashboard shows each of ours', async () => {
  const exposed = new Set(
    (await readMetrics()).split('\n').flatMap((line) => /^# TYPE (\w+)/.exec(line)?.slice(1) ?? []),
  );
  const queriedIn = async (file: string) =>
    new Set((await readFile(join(folder, file), 'utf8')).match(/\b(parley|process|nodejs)_\w+/g) ?? []);
  const families = (names: Iterable<string>) =>
    [...names].map((name) => (exposed.has(name) ? name : name.replace(/_(bucket|count|sum)$/, '')));
  for (const file of ['dashboard.json', 'alerts.yml', 'alerts.test.yml']) {
    expect(
      families(await queriedIn(file)).filter((name) => !exposed.has(name)),
      file,
    ).toEqual([]);
  }
  const shown = new Set(families(await queriedIn('dashboard.json')));
  expect(Object.values(metricTable).filter(({ name }) => !shown.has(name))).toEqual([]);
});

test('each alert has a test and a section in docs/monitoring.md, which lists every metric', async () => {
  const page = await readFile(join(import.meta.dirname, '../../docs/monitoring.md'), 'utf8');
  const rules = await readFile(join(folder, 'alerts.yml'), 'utf8');
  const tests = await readFile(join(folder, 'alerts.test.yml'), 'utf8');
  const alerts = [...rules.matchAll(/alert: (\w+)/g)].map(([, name]) => String(name));
  expect(alerts.length).toBeGreaterThan(10);
  expect(alerts.filter((name) => !tests.includes(`alertname: ${name}`))).toEqual([]);
  expect(alerts.filter((name) => !page.includes(`| ${name} `))).toEqual([]);
  const listed = Object.values(metricTable).filter(({ name, labels, help }) =>
    page
      .replaceAll(/\s+/g, ' ')
      .includes(`| \`${name}\` | ${labels.join(', ')}${labels.length > 0 ? ' ' : ''}| ${help} |`),
  );
  expect(listed.length).toBe(Object.keys(metricTable).length);
});
