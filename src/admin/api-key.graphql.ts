import { builder } from '../api/builder.ts';
import { pageComplexity, toConnection } from '../api/connection.ts';
import { requireCaller } from '../api/context.ts';
import { asciiSize, textSize } from '../api/field-size.ts';
import { registerNode } from '../api/node.ts';
import { decodeId } from '../core/id.ts';
import { scopes } from '../core/scope.ts';
import { maxNameLength } from '../core/text.ts';
import { Conflict, Forbidden, InvalidInput, NotFound } from '../errors.ts';
import { userById } from '../people/user.ts';
import { UserRef } from '../people/user.ref.ts';
import { lists, readPage } from '../postgres/page.ts';
import { AdminRef } from './admin.ref.ts';
import { apiKeyById, createApiKey, listApiKeys, revokeApiKey, type CreatedApiKey } from './api-key.ts';
import { ApiKeyRef } from './api-key.ref.ts';
import { createBot } from './bot.ts';
import { isAllowed } from './staff.ts';

const ScopeRef = builder.enumType('Scope', {
  description: 'What a program may do with its API key. docs/integration.md lists what each scope allows.',
  values: {
    USERS_READ: { description: 'Read users.' },
    USERS_WRITE: { description: 'Create and change users.' },
    CHATS_READ: { description: 'Read chats and their members.' },
    CHATS_WRITE: { description: 'Create, change and delete chats and memberships.' },
    MESSAGES_READ: { description: 'Read messages, files and events.' },
    MESSAGES_WRITE: { description: 'Send, change and delete messages, reactions and files.' },
    WEBHOOKS: { description: 'Create webhooks.' },
    ACT_AS: { description: 'Act as the user in the header `parley-act-as`, and open sessions for users.' },
    MODERATE: { description: 'Do what server moderators do.' },
    ADMIN: { description: 'Do what server admins do.' },
  } satisfies Record<(typeof scopes)[number], object>,
});

builder.prismaObjectFields(ApiKeyRef, (t) => ({
  name: t.exposeString('name', { extensions: textSize(maxNameLength) }),
  scopes: t.expose('scopes', { type: [ScopeRef], complexity: { field: 1, multiplier: scopes.length } }),
  bot: t.field({
    type: UserRef,
    nullable: true,
    description: 'The bot that the key acts as; null for a server key.',
    resolve: ({ botId }, _, { loaders }) => (botId === null ? null : loaders.of(userById).load(botId)),
  }),
  hint: t.exposeString('hint', {
    extensions: asciiSize(16),
    description: 'The first characters of the secret, which help to tell keys apart.',
  }),
  createdAt: t.expose('createdAt', { type: 'DateTime' }),
  lastUsedAt: t.expose('lastUsedAt', {
    type: 'DateTime',
    nullable: true,
    description: 'Accurate to the minute. Null if the key was never used.',
  }),
  expiresAt: t.expose('expiresAt', {
    type: 'DateTime',
    nullable: true,
    description: 'Null if the key does not expire.',
  }),
}));

registerNode('ApiKey', async ({ loaders, asker }, keys) => {
  const reader = asker();
  if (reader === null || !(await isAllowed(loaders, reader, 'manageApiKeys'))) return new Map();
  const found = await Promise.all(keys.map((key) => loaders.of(apiKeyById).load(BigInt(key))));
  return new Map(found.flatMap((key) => (key === null ? [] : [[String(key.id), key]])));
});

const ApiKeyConnectionRef = builder.connectionObject(
  { type: ApiKeyRef, name: 'ApiKeyConnection' },
  { name: 'ApiKeyEdge' },
);

builder.objectField(AdminRef, 'apiKeys', (t) =>
  t.field({
    type: ApiKeyConnectionRef,
    nullable: true,
    description: 'For admins. Newest first, excluding revoked keys and the keys of incoming webhooks.',
    args: { ...t.arg.connectionArgs() },
    complexity: pageComplexity,
    resolve: async ({ asker }, args, { db, loaders }) =>
      (await isAllowed(loaders, asker, 'manageApiKeys'))
        ? toConnection(lists.apiKeys, await listApiKeys(db, readPage(args, lists.apiKeys)), ({ id }) => [id])
        : null,
  }),
);

const CreatedApiKeyRef = builder.objectRef<CreatedApiKey>('CreatedApiKey').implement({
  fields: (t) => ({
    apiKey: t.expose('apiKey', { type: ApiKeyRef }),
    secret: t.exposeString('secret', {
      extensions: asciiSize(64),
      description: 'Shown only once, so store it. `Authorization: Bearer <secret>`.',
    }),
  }),
});

const CreateApiKeyInput = builder.inputType('CreateApiKeyInput', {
  fields: (t) => ({
    name: t.string({ required: true, description: `One line of up to ${maxNameLength} characters.` }),
    scopes: t.field({ type: [ScopeRef], required: true, description: 'At least one.' }),
    expiresAt: t.field({ type: 'DateTime', description: 'If omitted, the key does not expire.' }),
  }),
});

const CreateBotInput = builder.inputType('CreateBotInput', {
  fields: (t) => ({
    username: t.string({ required: true, description: 'As in `SignUpInput`.' }),
    displayName: t.string({ description: `One line of up to ${maxNameLength} characters.` }),
    scopes: t.field({
      type: [ScopeRef],
      description: 'What the bot may do in addition to what every member of a chat may do.',
    }),
  }),
});

builder.mutationFields((t) => ({
  createApiKey: t.field({
    type: CreatedApiKeyRef,
    description: `For admins. Creates a server key. A program with the scope ADMIN can also create keys, but only with scopes that its own key has.`,
    errors: { types: [InvalidInput, Forbidden] },
    args: { input: t.arg({ type: CreateApiKeyInput, required: true }) },
    resolve: (_, { input: { name, scopes: granted, expiresAt } }, context) =>
      createApiKey(context.db, requireCaller(context), { name, scopes: granted, expiresAt: expiresAt ?? null }),
  }),
  revokeApiKey: t.field({
    type: ApiKeyRef,
    description: 'For admins. Within a second, the key is refused and its streams end, on every node.',
    errors: { types: [NotFound, Forbidden] },
    args: { apiKeyId: t.arg.id({ required: true }) },
    resolve: (_, { apiKeyId }, context) =>
      revokeApiKey(
        { db: context.db, keys: context.accounts.programs.keys },
        requireCaller(context),
        decodeId('ApiKey', apiKeyId, ['apiKeyId']),
      ),
  }),
  createBot: t.field({
    type: CreatedApiKeyRef,
    description: `For admins. Creates a user of kind BOT, and the key with which a program acts as the bot. Add the bot to chats with addMembers, like any other user.`,
    errors: { types: [InvalidInput, Conflict, Forbidden] },
    args: { input: t.arg({ type: CreateBotInput, required: true }) },
    resolve: (_, { input: { username, displayName, scopes: granted } }, context) =>
      createBot(context.db, requireCaller(context), {
        username,
        displayName: displayName ?? null,
        scopes: granted ?? [],
      }),
  }),
}));
