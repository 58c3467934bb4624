import { z } from 'zod';
import { anyText, onOrOff, parsedBy, wholeNumber, type Setting } from './setting.ts';

/** Parses headers in the format of OTEL_EXPORTER_OTLP_HEADERS, with percent-encoded values. */
function parseHeaders(text: string): Record<string, string> {
  const pairs = text.split(',').map((pair) => {
    const [, name, value] = /^\s*([\w-]+)\s*=\s*(.*?)\s*$/.exec(pair) ?? [];
    if (name === undefined || value === undefined) throw new Error('not a list of name=value');
    return [name, decodeURIComponent(value)];
  });
  return Object.fromEntries(pairs);
}

const webUrl = z
  .string()
  .refine((value) => /^https?:$/.test(URL.parse(value)?.protocol ?? ''))
  .describe('a URL such as http://localhost:4318');

/** The settings for monitoring. */
export const monitoringSettings = {
  metricsPort: {
    name: 'METRICS_PORT',
    default: null,
    wants: wholeNumber(0, 65_535),
    meaning:
      'The port that serves `/metrics` for Prometheus; 0 picks a free port. Without this setting, there are no metrics.',
  },
  metricsHost: {
    name: 'METRICS_HOST',
    default: '127.0.0.1',
    wants: anyText,
    meaning: 'The address on which METRICS_PORT listens. Everyone who can reach this address can read the metrics.',
  },
  accessLog: {
    name: 'ACCESS_LOG',
    default: 'off',
    wants: onOrOff,
    meaning: 'Whether to log each request once it has been answered.',
  },
  logAddresses: {
    name: 'LOG_ADDRESSES',
    default: 'masked',
    wants: z.enum(['masked', 'full']).describe('masked or full'),
    meaning: 'Whether network addresses are logged in full, or truncated to IPv4 /24 and IPv6 /48.',
  },
  otlpEndpoint: {
    name: 'OTEL_EXPORTER_OTLP_ENDPOINT',
    default: null,
    wants: webUrl,
    meaning: 'The address to which traces are sent, via OTLP over HTTP. Without this setting, there are no traces.',
  },
  otlpHeaders: {
    name: 'OTEL_EXPORTER_OTLP_HEADERS',
    default: null,
    wants: parsedBy(parseHeaders).describe('name=value pairs separated by commas'),
    meaning: 'Headers for OTEL_EXPORTER_OTLP_ENDPOINT, such as a key.',
    isSecret: true,
  },
  otelServiceName: {
    name: 'OTEL_SERVICE_NAME',
    default: 'parley',
    wants: anyText,
    meaning: 'The name of the service in traces.',
  },
  otelSampler: {
    name: 'OTEL_TRACES_SAMPLER',
    default: 'parentbased_traceidratio',
    wants: z
      .enum(['parentbased_always_on', 'parentbased_always_off', 'parentbased_traceidratio'])
      .describe('parentbased_always_on, parentbased_always_off or parentbased_traceidratio'),
    meaning: 'Which requests without a traceparent are traced.',
  },
  otelSamplerArg: {
    name: 'OTEL_TRACES_SAMPLER_ARG',
    default: '0.01',
    wants: z
      .string()
      .regex(/^(0(\.\d+)?|1(\.0+)?)$/)
      .transform(Number)
      .describe('a number from 0 to 1'),
    meaning: 'The share of requests that parentbased_traceidratio traces.',
  },
} satisfies Record<string, Setting>;
