import { createServer } from 'node:http';
import process from 'node:process';
import SchemaBuilder from '@pothos/core';
import PrismaPlugin from '@pothos/plugin-prisma';
import { PrismaPg } from '@prisma/adapter-pg';
import { createPubSub, createYoga } from 'graphql-yoga';
import { createLocalJWKSet, jwtVerify } from 'jose';
import type PrismaTypes from '../../src/postgres/generated/pothos.ts';
import { getDatamodel } from '../../src/postgres/generated/pothos.ts';
import { PrismaClient, type Message } from '../../src/postgres/generated/prisma/client.ts';

/**
 * What a developer could write in an afternoon with graphql-yoga, Pothos, Prisma and createPubSub: check the
 * membership, create the message, publish it. Users who aren't connected miss messages, and their order is not
 * guaranteed.
 */
const prisma = new PrismaClient({ adapter: new PrismaPg({ connectionString: process.env['DATABASE_URL'] ?? '' }) });
const keys = createLocalJWKSet(JSON.parse(process.env['PUBLIC_KEYS'] ?? '{}'));
const pubSub = createPubSub<{ message: [chatId: string, message: Message] }>();
const lastSeqs = new Map<bigint, number>();

type Context = { userId: bigint };

const builder = new SchemaBuilder<{ Context: Context; PrismaTypes: PrismaTypes; DefaultFieldNullability: false }>({
  plugins: [PrismaPlugin],
  defaultFieldNullability: false,
  prisma: { client: prisma, dmmf: getDatamodel() },
});

builder.prismaObject('User', {
  fields: (t) => ({
    id: t.id({ resolve: ({ id }) => String(id) }),
    username: t.exposeString('username'),
    displayName: t.exposeString('displayName', { nullable: true }),
  }),
});
builder.prismaObject('Chat', { fields: (t) => ({ id: t.id({ resolve: ({ id }) => String(id) }) }) });
builder.prismaObject('Message', {
  fields: (t) => ({
    id: t.id({ resolve: ({ id }) => String(id) }),
    seq: t.exposeInt('seq'),
    content: t.exposeString('content', { nullable: true }),
    createdAt: t.string({ resolve: ({ createdAt }) => createdAt.toISOString() }),
    sender: t.relation('sender', { nullable: true }),
    chat: t.relation('chat'),
  }),
});

const NewMessage = builder.objectRef<{ message: Message }>('NewMessage').implement({
  fields: (t) => ({
    message: t.prismaField({
      type: 'Message',
      resolve: (query, { message }) => prisma.message.findUniqueOrThrow({ ...query, where: { id: message.id } }),
    }),
  }),
});
const CaughtUp = builder.objectRef<{ replayed: number }>('CaughtUp').implement({
  fields: (t) => ({ replayed: t.exposeInt('replayed') }),
});
const Event = builder.unionType('Event', { types: [NewMessage, CaughtUp], resolveType: () => 'NewMessage' });
const Envelope = builder.objectRef<Message>('EventEnvelope').implement({
  fields: (t) => ({
    cursor: t.string({ resolve: ({ id }) => String(id) }),
    at: t.string({ resolve: ({ createdAt }) => createdAt.toISOString() }),
    event: t.field({ type: Event, resolve: (message) => ({ message }) }),
  }),
});

builder.queryType({ fields: (t) => ({ ok: t.boolean({ resolve: () => true }) }) });
builder.mutationType({
  fields: (t) => ({
    sendMessage: t.prismaField({
      type: 'Message',
      args: { chatId: t.arg.id({ required: true }), content: t.arg.string({ required: true }) },
      resolve: async (query, _, args, { userId }) => {
        const chatId = BigInt(args.chatId);
        await prisma.member.findUniqueOrThrow({ where: { chatId_userId: { chatId, userId } } });
        const seq = (lastSeqs.get(chatId) ?? 0) + 1;
        lastSeqs.set(chatId, seq);
        const message = await prisma.message.create({
          ...query,
          data: { chatId, senderId: userId, content: args.content, seq },
        });
        pubSub.publish('message', args.chatId, message);
        return message;
      },
    }),
  }),
});
builder.subscriptionType({
  fields: (t) => ({
    events: t.field({
      type: Envelope,
      args: { after: t.arg.string() },
      subscribe: async (_, _args, { userId }) => {
        const { chatId } = await prisma.member.findFirstOrThrow({ where: { userId } });
        return pubSub.subscribe('message', String(chatId));
      },
      resolve: (message) => message,
    }),
  }),
});

const yoga = createYoga({
  schema: builder.toSchema(),
  logging: false,
  context: async ({ request }): Promise<Context> => {
    const token = request.headers.get('authorization')?.slice('Bearer '.length) ?? '';
    const { payload } = await jwtVerify(token, keys, { issuer: 'parley', audience: 'parley' });
    return { userId: BigInt(payload.sub ?? '0') };
  },
});
const server = createServer((request, response) => void yoga(request, response));
server.listen(0, '127.0.0.1', () => {
  const address = server.address();
  if (address !== null && typeof address === 'object') process.stdout.write(`http://127.0.0.1:${address.port}\n`);
});
process.on('SIGTERM', () => process.exit(0));
