/**
 * A metric and what it measures. Each of the `labels` has a small number of values, which does not grow with the number
 * of users, chats or documents.
 */
type Metric = {
  name: string;
  kind: 'counter' | 'gauge' | 'histogram';
  help: string;
  labels: readonly string[];
  /** The upper bounds of a histogram's buckets. */
  buckets?: readonly number[];
};

const seconds = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];
const sizes = [1, 2, 5, 10, 20, 50, 100, 200, 500];

/**
 * All metrics of the server, by their names in the code. Each entry has the metric's public name, a description of what
 * it measures, and its labels. The names follow OpenMetrics: they use base units, and counters end in `_total`.
 * docs/monitoring.md has the same table, and a test compares the two.
 */
export const metricTable = {
  httpRequests: {
    name: 'parley_http_requests_total',
    kind: 'counter',
    help: 'HTTP requests answered, by route and status class. A stream is counted when it ends.',
    labels: ['route', 'status'],
  },
  httpConnections: {
    name: 'parley_http_connections',
    kind: 'gauge',
    help: 'Open HTTP connections.',
    labels: [],
  },
  operationSeconds: {
    name: 'parley_operation_duration_seconds',
    kind: 'histogram',
    help: 'Time to execute a query or mutation, by root field; "several" for operations with more than one root field.',
    labels: ['operation'],
    buckets: seconds,
  },
  internalErrors: {
    name: 'parley_internal_errors_total',
    kind: 'counter',
    help: 'Server faults that clients received as INTERNAL.',
    labels: [],
  },
  rateLimitRefusals: {
    name: 'parley_rate_limit_refusals_total',
    kind: 'counter',
    help: 'Actions that a rate limit refused, by setting.',
    labels: ['setting'],
  },
  signInFailures: {
    name: 'parley_sign_in_failures_total',
    kind: 'counter',
    help: 'Failed sign-ins, by method (password, token) and error code.',
    labels: ['method', 'code'],
  },
  streams: { name: 'parley_streams', kind: 'gauge', help: 'Open streams.', labels: [] },
  subscriptions: {
    name: 'parley_subscriptions',
    kind: 'gauge',
    help: 'Running subscriptions, including those of webhooks.',
    labels: [],
  },
  subscriptionGroups: {
    name: 'parley_subscription_groups',
    kind: 'gauge',
    help: 'Groups of subscriptions that share executions. A group executes once per event unless the results differ by user.',
    labels: [],
  },
  streamResults: {
    name: 'parley_stream_results_total',
    kind: 'counter',
    help: 'Results sent on streams, both live and replayed.',
    labels: [],
  },
  events: {
    name: 'parley_events_total',
    kind: 'counter',
    help: 'Events from the log that this node has passed to its streams.',
    labels: [],
  },
  eventExecutions: {
    name: 'parley_event_executions_total',
    kind: 'counter',
    help: 'Executions of a subscription for an event, both live and replayed.',
    labels: [],
  },
  deliveryBatch: {
    name: 'parley_delivery_batch_events',
    kind: 'histogram',
    help: 'Events that were sent together to the streams of one group.',
    labels: [],
    buckets: sizes,
  },
  deliveryDelay: {
    name: 'parley_delivery_delay_seconds',
    kind: 'histogram',
    help: "Time from the commit of an event, by PostgreSQL's clock, until its results were sent.",
    labels: [],
    buckets: seconds,
  },
  commitBatch: {
    name: 'parley_commit_batch_writes',
    kind: 'histogram',
    help: 'Messages and other writes in one group commit.',
    labels: [],
    buckets: sizes,
  },
  commitSeconds: {
    name: 'parley_commit_duration_seconds',
    kind: 'histogram',
    help: 'Duration of one group commit.',
    labels: [],
    buckets: seconds,
  },
  feedLagEvents: {
    name: 'parley_feed_lag_events',
    kind: 'gauge',
    help: 'Events in the log that this node has not passed to its streams.',
    labels: [],
  },
  feedLagSeconds: {
    name: 'parley_feed_lag_seconds',
    kind: 'gauge',
    help: 'Age of the oldest event that this node has not passed to its streams.',
    labels: [],
  },
  consumerLagEvents: {
    name: 'parley_consumer_lag_events',
    kind: 'gauge',
    help: 'Events that a consumer of the log has not consumed, across all nodes.',
    labels: ['consumer'],
  },
  consumerLagSeconds: {
    name: 'parley_consumer_lag_seconds',
    kind: 'gauge',
    help: 'Age of the oldest event that a consumer of the log has not consumed, across all nodes.',
    labels: ['consumer'],
  },
  databaseUp: {
    name: 'parley_database_up',
    kind: 'gauge',
    help: '1 if the last scrape could read the database, otherwise 0.',
    labels: [],
  },
  databaseConnections: {
    name: 'parley_database_connections',
    kind: 'gauge',
    help: 'Connections to the database, by pool (main, search) and state (idle, busy).',
    labels: ['pool', 'state'],
  },
  databaseWaiting: {
    name: 'parley_database_waiting_requests',
    kind: 'gauge',
    help: 'Requests that are waiting for a connection to the database, by pool.',
    labels: ['pool'],
  },
  uploads: {
    name: 'parley_uploads_total',
    kind: 'counter',
    help: 'Requests that upload files, by outcome (completed, failed).',
    labels: ['outcome'],
  },
  uploadBytes: {
    name: 'parley_upload_bytes_total',
    kind: 'counter',
    help: 'Bytes of files received.',
    labels: [],
  },
  webhookSeconds: {
    name: 'parley_webhook_request_duration_seconds',
    kind: 'histogram',
    help: "Duration of a request to a webhook's receiver, by outcome (accepted, refused, unanswered).",
    labels: ['outcome'],
    buckets: seconds,
  },
  webhooks: {
    name: 'parley_webhooks',
    kind: 'gauge',
    help: 'Webhooks by status, across all nodes.',
    labels: ['status'],
  },
  mails: {
    name: 'parley_mails_total',
    kind: 'counter',
    help: 'Attempts to send an email, by outcome (sent, refused, postponed, limited).',
    labels: ['outcome'],
  },
  mailsQueued: {
    name: 'parley_mail_queue_length',
    kind: 'gauge',
    help: 'Emails in the outbox, across all nodes.',
    labels: [],
  },
  mailsQueuedSeconds: {
    name: 'parley_mail_queue_oldest_seconds',
    kind: 'gauge',
    help: 'Age of the oldest email in the outbox, across all nodes.',
    labels: [],
  },
  housekeepingRemoved: {
    name: 'parley_housekeeping_removed_total',
    kind: 'counter',
    help: 'Rows and files that housekeeping removed, by chore (housekeeping task).',
    labels: ['chore'],
  },
  housekeepingFailures: {
    name: 'parley_housekeeping_failures_total',
    kind: 'counter',
    help: 'Failed runs of a chore.',
    labels: ['chore'],
  },
  housekeepingRound: {
    name: 'parley_housekeeping_last_round_timestamp_seconds',
    kind: 'gauge',
    help: 'Unix time at which housekeeping last finished all chores; absent until then.',
    labels: [],
  },
} as const satisfies Record<string, Metric>;

/** The name of a metric in the code. */
export type MetricName = keyof typeof metricTable;

type NamesOf<Kind extends Metric['kind']> = {
  [Name in MetricName]: (typeof metricTable)[Name]['kind'] extends Kind ? Name : never;
}[MetricName];

/** The values of a metric's labels. */
export type LabelsOf<Name extends MetricName> = Record<(typeof metricTable)[Name]['labels'][number], string>;

/** One value of a metric, at the time when the metric is read. */
export type Sample<Name extends MetricName> = { value: number; labels: LabelsOf<Name> };

/**
 * The interface through which the parts of the server record measurements. Recording a value never fails and never
 * waits.
 */
export type Metrics = {
  /** Adds `by` to a counter. */
  count: <Name extends NamesOf<'counter'>>(name: Name, labels: LabelsOf<Name>, by?: number) => void;
  /** Adds a value to a histogram. */
  observe: <Name extends NamesOf<'histogram'>>(name: Name, value: number, labels: LabelsOf<Name>) => void;
  /**
   * Calls `read` each time the metrics are read, to get the value of a gauge or a counter that is stored elsewhere.
   * Null means that the metric currently has no value.
   */
  watch: <Name extends NamesOf<'counter' | 'gauge'>>(name: Name, read: () => Sample<Name>[] | number | null) => void;
  /**
   * Calls `read`, with a function that sets gauges, each time before the metrics are read. If `read` rejects or takes
   * too long, the gauges that it sets have no values, and `databaseUp` is 0.
   */
  survey: (read: (set: SetGauge) => Promise<void>) => void;
};

/** Sets a gauge to a value. */
export type SetGauge = <Name extends NamesOf<'gauge'>>(name: Name, value: number, labels: LabelsOf<Name>) => void;

/** An implementation that discards everything, for a server that records no metrics. */
export const noMetrics: Metrics = { count: ignore, observe: ignore, watch: ignore, survey: ignore };

function ignore(): void {}
