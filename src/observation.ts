import { randomUUID } from 'node:crypto';
import type { Logger } from 'pino';
import type { Config } from './config.ts';
import { noMetrics, type Metrics } from './core/metric.ts';
import { paced } from './core/paced-report.ts';
import type { Report } from './core/report.ts';
import type { Tracer } from './core/trace.ts';
import { describeFault } from './errors.ts';
import { openTracer } from './opentelemetry.ts';
import { createPrometheusMetrics, serveMetrics } from './prometheus.ts';

/** Opens the tools for monitoring a node; disposing of `started` closes them. `tracer` is null if tracing is off. */
export async function openObservation(
  config: Config,
  log: Logger,
  started: AsyncDisposableStack,
): Promise<{ report: Report; metrics: Metrics; metricsUrl: string | null; tracer: Tracer | null }> {
  const report = paced(reportTo(log));
  const { metrics, url: metricsUrl } = await openMetrics(config, { report, started });
  return { report, metrics, metricsUrl, tracer: await openTraces(config, started) };
}

/** Serves metrics if METRICS_PORT is set. Otherwise nothing is measured, and the metrics library is not even loaded. */
async function openMetrics(
  { metricsPort, metricsHost }: Config,
  { report, started }: { report: Report; started: AsyncDisposableStack },
): Promise<{ metrics: Metrics; url: string | null }> {
  if (metricsPort === null) return { metrics: noMetrics, url: null };
  const metrics = await createPrometheusMetrics(report);
  const server = await serveMetrics({ host: metricsHost, port: metricsPort }, metrics);
  started.defer(server.close);
  const url = `http://${reachableHost(metricsHost)}:${server.port}/metrics`;
  report('info', `metrics are at ${url}`);
  return { metrics, url };
}

/** Records traces if OTEL_EXPORTER_OTLP_ENDPOINT is set; otherwise the tracing libraries are not even loaded. */
async function openTraces(config: Config, started: AsyncDisposableStack): Promise<Tracer | null> {
  const traces = await openTracer(config, { nodeName: randomUUID() });
  // If the last traces can no longer be exported, they are lost.
  started.defer(() => traces?.close().catch(() => undefined));
  return traces?.tracer ?? null;
}

/** Returns a function that writes reports to the log. Reduces errors to the information that may be logged. */
function reportTo(log: Logger): Report {
  return (level, message, { error, ...detail } = {}) =>
    log[level]({ ...detail, ...(error === undefined ? {} : { fault: describeFault(error) }) }, message);
}

/** Returns the host name to use in links for the operator. */
export function reachableHost(host: string): string {
  if (host === '0.0.0.0' || host === '::') return 'localhost';
  return host.includes(':') ? `[${host}]` : host;
}
