import type * as PromClient from 'prom-client';
import type { Counter, Gauge, Histogram, Registry } from 'prom-client';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { Report } from './core/report.ts';
import { metricTable, type MetricName, type Metrics, type Sample, type SetGauge } from './core/metric.ts';
import { CannotStart } from './errors.ts';

/**
 * How long a survey may take, in ms, before the metrics are returned without it. Prometheus waits 10 s for an answer.
 */
const surveyMs = 5_000;

/**
 * Gauges from prom-client that OpenMetrics would mistake for counters. The gauges that count the same resources by type
 * are still served.
 */
const misnamed = ['nodejs_active_handles_total', 'nodejs_active_requests_total', 'nodejs_active_resources_total'];

type Watch = { name: MetricName; read: () => Sample<MetricName>[] | number | null };
type Survey = (set: SetGauge) => Promise<void>;

/** Metrics for Prometheus. `print` returns the metrics in Prometheus's text format. */
export type PrometheusMetrics = Metrics & { contentType: string; print: () => Promise<string> };

/**
 * Creates the metrics in `metricTable` and the default Node metrics. The prom-client library is loaded only here, so
 * that nodes without metrics do not load it.
 */
export async function createPrometheusMetrics(report: Report): Promise<PrometheusMetrics> {
  const client = await import('prom-client');
  const registry = new client.Registry();
  client.collectDefaultMetrics({ register: registry });
  for (const name of misnamed) registry.removeSingleMetric(name);
  const instruments = createInstruments(client, registry);
  const counterOf = (name: MetricName) => instruments.get(name) as Counter;
  const gaugeOf = (name: MetricName) => instruments.get(name) as Gauge;
  const watches: Watch[] = [];
  const surveys: Survey[] = [];
  const surveyed = new Set<MetricName>();
  let printing: Promise<string> | null = null;

  const print = async () => {
    for (const watch of watches) readWatch(instruments.get(watch.name) as Counter | Gauge, watch);
    for (const name of surveyed) clear(gaugeOf(name), name);
    const set: SetGauge = (name, value, labels) => {
      surveyed.add(name);
      gaugeOf(name).set(labels, value);
    };
    const areRead = await Promise.all(surveys.map((survey) => completes(survey, set, report)));
    gaugeOf('databaseUp').set(areRead.every(Boolean) ? 1 : 0);
    return registry.metrics();
  };

  return {
    contentType: registry.contentType,
    count: (name, labels, by = 1) => counterOf(name).inc(labels, by),
    observe: (name, value, labels) => (instruments.get(name) as Histogram).observe(labels, value),
    watch: (name, read) => void watches.push({ name, read: read as Watch['read'] }),
    survey: (read) => void surveys.push(read),
    // Concurrent scrapes read the same values.
    print: () => (printing ??= print().finally(() => (printing = null))),
  };
}

function createInstruments(
  client: typeof PromClient,
  registry: Registry,
): Map<MetricName, Counter | Gauge | Histogram> {
  const entries = Object.entries(metricTable).map(([key, metric]) => {
    const { name, help, labels } = metric;
    const config = { name, help, labelNames: [...labels], registers: [registry] };
    if (metric.kind === 'counter') return [key, new client.Counter(config)] as const;
    if (metric.kind === 'gauge') {
      const gauge = new client.Gauge(config);
      clear(gauge, key as MetricName);
      return [key, gauge] as const;
    }
    return [key, new client.Histogram({ ...config, buckets: [...metric.buckets] })] as const;
  });
  // The entries have the same keys as the table.
  return new Map(entries as [MetricName, Counter | Gauge | Histogram][]);
}

/** Removes all values, so that the metric is omitted. `reset` alone would leave a 0 for a metric without labels. */
function clear(instrument: Counter | Gauge, name: MetricName): void {
  instrument.reset();
  if (metricTable[name].labels.length === 0) instrument.remove();
}

function readWatch(instrument: Counter | Gauge, { name, read }: Watch): void {
  clear(instrument, name);
  const found = read();
  if (found === null) return;
  const samples = typeof found === 'number' ? [{ value: found, labels: {} }] : found;
  for (const { value, labels } of samples) instrument.inc(labels, value);
}

async function completes(survey: Survey, set: SetGauge, report: Report): Promise<boolean> {
  let isLate = false;
  let timeout: NodeJS.Timeout | undefined;
  const patience = new Promise<boolean>((resolve) => {
    timeout = setTimeout(() => resolve(false), surveyMs);
  });
  const work = survey((...gauge) => {
    if (!isLate) set(...gauge);
  }).then(
    () => true,
    (error: unknown) => {
      report('warn', 'metrics could not be read', { error });
      return false;
    },
  );
  const isDone = await Promise.race([work, patience]);
  clearTimeout(timeout);
  isLate = true;
  return isDone;
}

/**
 * Serves the metrics at `/metrics`, on a separate port that clients do not need to reach. Returns the server's port and
 * a function that closes it. Throws CannotStart if it cannot listen on that port.
 */
export async function serveMetrics(
  { host, port }: { host: string; port: number },
  metrics: PrometheusMetrics,
): Promise<{ port: number; close: () => Promise<void> }> {
  const server = createServer((request, response) => {
    const path = request.url?.split('?', 1)[0];
    if (path !== '/metrics') {
      response.writeHead(404, { 'content-type': 'text/plain; charset=utf-8' }).end('The metrics are at /metrics.\n');
      return;
    }
    metrics.print().then(
      (text) => response.writeHead(200, { 'content-type': metrics.contentType }).end(text),
      () => response.writeHead(500).end(),
    );
  });
  await listen(server, { host, port });
  const bound = server.address();
  return {
    port: bound !== null && typeof bound === 'object' ? bound.port : port,
    close: async () => {
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}

async function listen(server: Server, { host, port }: { host: string; port: number }): Promise<void> {
  server.listen(port, host);
  try {
    await once(server, 'listening');
  } catch (error) {
    const reason = (error as Error).message;
    throw new CannotStart(`Cannot listen on METRICS_HOST ${host}, METRICS_PORT ${port}: ${reason}.`, { cause: error });
  }
}
