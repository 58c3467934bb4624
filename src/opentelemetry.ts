import type * as Api from '@opentelemetry/api';
import type { Sampler } from '@opentelemetry/sdk-trace';
import type * as Sdk from '@opentelemetry/sdk-trace';
import type { Config } from './config.ts';
import type { Span, SpanKind, Tracer } from './core/trace.ts';

/** The settings for exporting traces. */
export type TraceSettings = Pick<
  Config,
  'otlpEndpoint' | 'otlpHeaders' | 'otelServiceName' | 'otelSampler' | 'otelSamplerArg'
>;

/** How often spans are exported, and how long an export may take, in ms. */
const exportTimes = { scheduledDelayMillis: 1_000, exportTimeoutMillis: 5_000 };

/**
 * Creates the tracer, which records traces and exports them as JSON via OTLP over HTTP; returns null if there is
 * nowhere to export them to. Only this function loads the libraries. They do not patch anything: the server creates
 * each span itself.
 */
export async function openTracer(
  { otlpEndpoint, otlpHeaders, otelServiceName, otelSampler, otelSamplerArg }: TraceSettings,
  { nodeName }: { nodeName: string },
): Promise<{ tracer: Tracer; close: () => Promise<void> } | null> {
  if (otlpEndpoint === null) return null;
  const [api, sdk, { OTLPTraceExporter }, { resourceFromAttributes }] = await Promise.all([
    import('@opentelemetry/api'),
    import('@opentelemetry/sdk-trace'),
    import('@opentelemetry/exporter-trace-otlp-http'),
    import('@opentelemetry/resources'),
  ]);
  const url = `${otlpEndpoint.replace(/\/$/, '')}/v1/traces`;
  const exporter = new OTLPTraceExporter({ url, headers: otlpHeaders ?? {} });
  const provider = new sdk.TracerProvider({
    resource: resourceFromAttributes({ 'service.name': otelServiceName, 'service.instance.id': nodeName }),
    sampler: createSampler(sdk, otelSampler, otelSamplerArg),
    spanProcessors: [new sdk.BatchSpanProcessor({ exporter, ...exportTimes })],
  });
  return { tracer: createTracer(api, provider.getTracer('parley')), close: () => provider.shutdown() };
}

function createTracer(api: typeof Api, tracer: Api.Tracer): Tracer {
  const kinds: Record<SpanKind, Api.SpanKind> = {
    SERVER: api.SpanKind.SERVER,
    CLIENT: api.SpanKind.CLIENT,
    CONSUMER: api.SpanKind.CONSUMER,
    INTERNAL: api.SpanKind.INTERNAL,
  };
  const start: Tracer = (name, { parent, kind = 'INTERNAL', startedAt, attributes = {} }) => {
    const options = { kind: kinds[kind], attributes, ...(startedAt !== undefined && { startTime: startedAt }) };
    const traceFlags = parent?.isSampled === true ? api.TraceFlags.SAMPLED : api.TraceFlags.NONE;
    const context =
      parent === null
        ? api.ROOT_CONTEXT
        : api.trace.setSpanContext(api.ROOT_CONTEXT, { ...parent, traceFlags, isRemote: true });
    const span = tracer.startSpan(name, options, context);
    return span.isRecording() ? wrap(span) : null;
  };
  const wrap = (span: Api.Span): Span => {
    const { traceId, spanId } = span.spanContext();
    const parent = { traceId, spanId, isSampled: true };
    return {
      parent,
      // A child of a recorded span is always recorded, because samplers follow the parent.
      child: (name, options = {}) => start(name, { ...options, parent }) ?? wrap(span),
      end: (attributes, endedAt) => {
        if (attributes !== undefined) span.setAttributes(attributes);
        span.end(endedAt);
      },
      fail: (message) => void span.setStatus({ code: api.SpanStatusCode.ERROR, message }),
    };
  };
  return start;
}

function createSampler(sdk: typeof Sdk, name: Config['otelSampler'], ratio: number): Sampler {
  switch (name) {
    case 'parentbased_always_on':
      return new sdk.ParentBasedSampler({ root: new sdk.AlwaysOnSampler() });
    case 'parentbased_always_off':
      return new sdk.ParentBasedSampler({ root: new sdk.AlwaysOffSampler() });
    case 'parentbased_traceidratio':
      return new sdk.ParentBasedSampler({ root: new sdk.TraceIdRatioBasedSampler(ratio) });
    default: {
      const unknown: never = name;
      throw new Error(`unknown sampler ${String(unknown)}`);
    }
  }
}
