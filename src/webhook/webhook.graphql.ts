import type { GraphQLSchema } from 'graphql';
import { AdminRef } from '../admin/admin.ref.ts';
import { apiKeyById } from '../admin/api-key.ts';
import { ApiKeyRef } from '../admin/api-key.ref.ts';
import { isAllowed } from '../admin/staff.ts';
import { pageComplexity, toConnection } from '../api/connection.ts';
import { requireCaller, type Context } from '../api/context.ts';
import { builder, maxJsonBytes } from '../api/builder.ts';
import { asciiSize, textSize } from '../api/field-size.ts';
import { checkKeptSubscription } from '../api/kept-subscription.ts';
import { registerNode } from '../api/node.ts';
import { decodeId } from '../core/id.ts';
import { Forbidden, InvalidInput, NotFound } from '../errors.ts';
import { parseCursor } from '../log/cursor.ts';
import { userById } from '../people/user.ts';
import { UserRef } from '../people/user.ref.ts';
import { lists, readPage } from '../postgres/page.ts';
import { recentDeliveriesOf } from './delivery-record.ts';
import { keptDeliveries, type DeliveryAttempt } from './holding.ts';
import {
  createWebhook,
  deleteWebhook,
  findWebhooks,
  listWebhooks,
  maxDocumentBytes,
  maxUrlLength,
  rotateWebhookSecret,
  updateWebhook,
  type CreatedWebhook,
} from './webhook.ts';

const cursorSize = asciiSize(32);

const WebhookStatusRef = builder.enumType('WebhookStatus', {
  values: {
    ACTIVE: {},
    PAUSED: {
      description:
        'Paused by updateWebhook or by the server, e.g. because the receiver responded with 410, the owner lost the rights that the webhook needs, or the API key expired.',
    },
    FAILING: {
      description:
        'Five attempts in a row have failed. The server keeps trying, with pauses of at most five minutes, and no events are lost while the cursor is in the log.',
    },
  },
});

const WebhookDeliveryRef = builder.objectRef<DeliveryAttempt>('WebhookDelivery').implement({
  description: 'An attempt to deliver an event.',
  fields: (t) => ({
    cursor: t.exposeString('cursor', {
      extensions: cursorSize,
      description: 'The cursor of the last event that was sent.',
    }),
    at: t.expose('at', { type: 'DateTime' }),
    attempt: t.exposeInt('attempt', {
      description: '1 for the first attempt, 2 for the first retry.',
    }),
    status: t.exposeInt('status', { nullable: true, description: 'The HTTP status; null if there was no response.' }),
    durationMs: t.exposeInt('durationMs'),
  }),
});

const WebhookRef = builder.prismaNode('Webhook', {
  id: { field: 'id' },
  description:
    'A subscription that the server maintains: it sends each event to the URL, in order, with the fields that the document selects.',
  fields: (t) => ({
    url: t.exposeString('url', { extensions: asciiSize(maxUrlLength) }),
    document: t.exposeString('document', { extensions: asciiSize(maxDocumentBytes) }),
    variables: t.expose('variables', { type: 'JSON', nullable: true, extensions: asciiSize(maxJsonBytes) }),
    owner: t.field({
      type: UserRef,
      nullable: true,
      description: 'The admin whose rights the webhook has. Null if the webhook belongs to an API key.',
      resolve: ({ ownerId }, _, { loaders }) => (ownerId === null ? null : loaders.of(userById).load(ownerId)),
    }),
    apiKey: t.field({
      type: ApiKeyRef,
      nullable: true,
      description: 'The API key whose scopes the webhook has. Null if the webhook belongs to an admin.',
      resolve: ({ apiKeyId }, _, { loaders }) => (apiKeyId === null ? null : loaders.of(apiKeyById).load(apiKeyId)),
    }),
    status: t.expose('status', { type: WebhookStatusRef }),
    cursor: t.exposeString('cursor', {
      extensions: cursorSize,
      description:
        'The cursor of the last event that the receiver accepted, which can be up to a second behind. The cursor also moves past events that are not for the webhook.',
    }),
    lastDeliveredAt: t.expose('lastDeliveredAt', { type: 'DateTime', nullable: true }),
    lastError: t.exposeString('lastError', {
      nullable: true,
      extensions: textSize(1_000),
      description:
        'Why the last failed attempt failed, or why the webhook was paused. Later successes do not clear it. It contains nothing from the response except the status.',
    }),
    createdAt: t.expose('createdAt', { type: 'DateTime' }),
  }),
});

builder.prismaObjectField(WebhookRef, 'recentDeliveries', (t) =>
  t.field({
    type: [WebhookDeliveryRef],
    description: `At most ${keptDeliveries}, newest first.`,
    complexity: { field: 1, multiplier: keptDeliveries },
    resolve: ({ id }, _, { loaders }) => loaders.of(recentDeliveriesOf).load(id),
  }),
);

registerNode('Webhook', async ({ db, loaders, asker }, keys) => {
  const caller = asker();
  if (caller === null) return new Map();
  const isAdmin = await isAllowed(loaders, caller, 'manageWebhooks');
  const webhooks = await findWebhooks(db, caller, { webhookIds: keys.map(BigInt), isAdmin });
  return new Map(webhooks.map((webhook) => [String(webhook.id), webhook]));
});

const WebhookConnectionRef = builder.connectionObject(
  { type: WebhookRef, name: 'WebhookConnection' },
  { name: 'WebhookEdge' },
);

builder.objectField(AdminRef, 'webhooks', (t) =>
  t.field({
    type: WebhookConnectionRef,
    nullable: true,
    description: 'For admins. Newest first.',
    args: { ...t.arg.connectionArgs() },
    complexity: pageComplexity,
    resolve: async ({ asker }, args, { db, loaders }) => {
      if (!(await isAllowed(loaders, asker, 'manageWebhooks'))) return null;
      const page = await listWebhooks(db, readPage(args, lists.webhooks));
      return toConnection(lists.webhooks, page, ({ id }) => [id]);
    },
  }),
);

const CreatedWebhookRef = builder.objectRef<CreatedWebhook>('CreatedWebhook').implement({
  fields: (t) => ({
    webhook: t.field({ type: WebhookRef, resolve: ({ webhook }) => webhook }),
    secret: t.exposeString('secret', {
      extensions: asciiSize(64),
      description: 'Shown only once. Used to sign each delivery as specified by Standard Webhooks.',
    }),
  }),
});

const urlDescription = `An https: URL of at most ${maxUrlLength} characters, whose host must have a public address unless the server allows private ones.`;
const documentDescription = `A single subscription to \`events\`, \`chatEvents\` or, for a key with MESSAGES_READ, \`allEvents\`; at most ${maxDocumentBytes / 1_024} KiB.
The body of each delivery is the result of this subscription for one event, or a list of results if the receiver asks for batches.`;

const CreateWebhookInput = builder.inputType('CreateWebhookInput', {
  fields: (t) => ({
    url: t.string({ required: true, description: urlDescription }),
    document: t.string({ required: true, description: documentDescription }),
    variables: t.field({ type: 'JSON' }),
    after: t.string({ description: 'Start after this cursor instead of now.' }),
  }),
});

const UpdateWebhookInput = builder.inputType('UpdateWebhookInput', {
  fields: (t) => ({
    webhookId: t.id({ required: true }),
    url: t.string({ description: urlDescription }),
    document: t.string({ description: documentDescription }),
    variables: t.field({ type: 'JSON' }),
    isPaused: t.boolean(),
    after: t.string({
      description:
        'Continue after this cursor. An earlier cursor delivers events again, and a later cursor skips events.',
    }),
  }),
});

/** The result of both mutations that return a secret. */
const CreateWebhookResultRef = builder.errorUnion('CreateWebhookResult', {
  types: [CreatedWebhookRef, InvalidInput, NotFound, Forbidden],
  resolveType: () => 'CreatedWebhook',
});

/** Checks the document of a new webhook, and creates the webhook. */
async function create(
  context: Context,
  schema: GraphQLSchema,
  {
    url,
    after,
    ...rest
  }: { url: string; document: string; variables: Record<string, unknown> | null; after: string | null },
): Promise<CreatedWebhook> {
  const caller = requireCaller(context);
  const kept = { ...rest, document: readDocument(rest.document) };
  // Read the cursor first, so that no event is missed during the check of the document.
  const cursor = after === null ? await context.readCursor() : readCursor(after);
  await checkKeptSubscription(context, schema, kept);
  return createWebhook(context, caller, { ...kept, url, cursor });
}

builder.mutationFields((t) => ({
  createWebhook: t.field({
    type: CreateWebhookResultRef,
    description: `For admins, and for programs whose key has the scope WEBHOOKS. The webhook has the rights of its creator, and pauses when the creator loses them. The first request to the receiver is a ping.`,
    args: { input: t.arg({ type: CreateWebhookInput, required: true }) },
    resolve: (_, { input: { url, document, variables, after } }, context, { schema }) =>
      create(context, schema, { url, document, variables: variables ?? null, after: after ?? null }),
  }),
  updateWebhook: t.field({
    type: WebhookRef,
    description:
      'For the owner; other admins can only pause and resume the webhook. The webhook resumes where it stopped, unless `after` is given.',
    errors: { types: [InvalidInput, NotFound, Forbidden] },
    args: { input: t.arg({ type: UpdateWebhookInput, required: true }) },
    resolve: async (_, { input }, context, { schema }) => {
      const caller = requireCaller(context);
      const webhookId = decodeId('Webhook', input.webhookId, ['webhookId']);
      const document = input.document == null ? undefined : readDocument(input.document);
      const variables = input.variables;
      if (document !== undefined || variables !== undefined) {
        const isAdmin = await isAllowed(context.loaders, caller, 'manageWebhooks');
        const [known] = await findWebhooks(context.db, caller, { webhookIds: [webhookId], isAdmin });
        if (known === undefined) throw new NotFound('There is no such webhook.');
        await checkKeptSubscription(context, schema, {
          document: document ?? known.document,
          variables: variables === undefined ? readVariables(known.variables) : variables,
        });
      }
      return updateWebhook(context, caller, {
        ...{ webhookId, document, variables },
        url: input.url ?? undefined,
        isPaused: input.isPaused ?? undefined,
        cursor: input.after == null ? undefined : readCursor(input.after),
      });
    },
  }),
  rotateWebhookSecret: t.field({
    type: CreateWebhookResultRef,
    description: 'For the owner. For one day, deliveries are also signed with the previous secret.',
    args: { webhookId: t.arg.id({ required: true }) },
    resolve: (_, { webhookId }, context) =>
      rotateWebhookSecret(context, requireCaller(context), decodeId('Webhook', webhookId, ['webhookId'])),
  }),
  deleteWebhook: t.field({
    type: WebhookRef,
    description: 'For the owner and for admins.',
    errors: { types: [NotFound, Forbidden] },
    args: { webhookId: t.arg.id({ required: true }) },
    resolve: (_, { webhookId }, context) =>
      deleteWebhook(context.db, requireCaller(context), decodeId('Webhook', webhookId, ['webhookId'])),
  }),
}));

function readDocument(document: string): string {
  if (Buffer.byteLength(document) <= maxDocumentBytes) return document;
  throw new InvalidInput([
    { path: ['document'], code: 'TOO_LONG', message: `must be at most ${maxDocumentBytes} bytes long` },
  ]);
}

function readCursor(after: string): string {
  if (parseCursor(after) !== null) return after;
  throw new InvalidInput([{ path: ['after'], code: 'MALFORMED', message: 'must be a cursor from this server' }]);
}

function readVariables(stored: unknown): Record<string, unknown> | null {
  // The value in the database is either an object or null.
  return stored as Record<string, unknown> | null;
}
