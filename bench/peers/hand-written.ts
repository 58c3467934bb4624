import { createServer } from 'node:http';
import process from 'node:process';
import SchemaBuilder from '@pothos/core';
import PrismaPlugin from '@pothos/plugin-prisma';
import { PrismaPg } from '@prisma/adapter-pg';
import DataLoader from 'dataloader';
import { createPubSub, createYoga } from 'graphql-yoga';
import { createLocalJWKSet, jwtVerify } from 'jose';
import type PrismaTypes from '../../src/postgres/generated/pothos.ts';
import { getDatamodel } from '../../src/postgres/generated/pothos.ts';
import { PrismaClient, type Member, type Message } from '../../src/postgres/generated/prisma/client.ts';

/**
 * What a developer could write in an afternoon with graphql-yoga, Pothos, Prisma and createPubSub. Reads use relations
 * and data loaders. A send checks the membership, creates the message and publishes it. Users who are not connected
 * miss messages, and messages may arrive out of order.
 */
const prisma = new PrismaClient({ adapter: new PrismaPg({ connectionString: process.env['DATABASE_URL'] ?? '' }) });
const keys = createLocalJWKSet(JSON.parse(process.env['PUBLIC_KEYS'] ?? '{}'));
const pubSub = createPubSub<{ message: [chatId: string, message: Message] }>();
const lastSeqs = new Map<bigint, number>();

type MessageKey = { chatId: bigint; seq: number };
type Context = {
  userId: bigint;
  messages: DataLoader<MessageKey, Message | null, string>;
  memberships: DataLoader<bigint, (Member & { chat: { lastSeq: number } }) | null>;
  ownReactions: DataLoader<string, Set<string>>;
};

/** The data loaders of one request. */
function createContext(userId: bigint): Context {
  const keyOf = ({ chatId, seq }: MessageKey) => `${chatId} ${seq}`;
  return {
    userId,
    messages: new DataLoader(
      async (wanted) => {
        const found = await prisma.message.findMany({
          where: { OR: wanted.map(({ chatId, seq }) => ({ chatId, seq })) },
        });
        const byKey = new Map(found.map((message) => [keyOf(message), message]));
        return wanted.map((key) => byKey.get(keyOf(key)) ?? null);
      },
      { cacheKeyFn: keyOf },
    ),
    memberships: new DataLoader(async (chatIds) => {
      const found = await prisma.member.findMany({
        where: { userId, chatId: { in: [...chatIds] } },
        include: { chat: { select: { lastSeq: true } } },
      });
      const byChat = new Map(found.map((member) => [member.chatId, member]));
      return chatIds.map((chatId) => byChat.get(chatId) ?? null);
    }),
    ownReactions: new DataLoader(async (wanted) => {
      const places = wanted
        .map((key) => key.split(' '))
        .map(([chatId = '', seq]) => ({ chatId: BigInt(chatId), seq: Number(seq) }));
      const found = await prisma.reaction.findMany({ where: { userId, OR: places } });
      const byKey = Map.groupBy(found, keyOf);
      return wanted.map((key) => new Set(byKey.get(key)?.map(({ emoji }) => emoji)));
    }),
  };
}

const builder = new SchemaBuilder<{ Context: Context; PrismaTypes: PrismaTypes; DefaultFieldNullability: false }>({
  plugins: [PrismaPlugin],
  defaultFieldNullability: false,
  prisma: { client: prisma, dmmf: getDatamodel() },
});

const UserRef = builder.prismaObject('User', {
  fields: (t) => ({
    id: t.id({ resolve: ({ id }) => String(id) }),
    username: t.exposeString('username'),
    displayName: t.exposeString('displayName', { nullable: true }),
    avatar: t.relation('avatar', { nullable: true }),
  }),
});
builder.prismaObject('File', {
  include: { blob: { select: { contentType: true, size: true } } },
  fields: (t) => ({
    id: t.id({ resolve: ({ id }) => String(id) }),
    name: t.exposeString('name'),
    contentType: t.string({ resolve: ({ blob }) => blob.contentType }),
    size: t.int({ resolve: ({ blob }) => Number(blob.size) }),
  }),
});
const MemberRef = builder.prismaObject('Member', {
  include: { chat: { select: { lastSeq: true } } },
  fields: (t) => ({
    role: t.string({ resolve: ({ role }) => role }),
    lastReadSeq: t.exposeInt('lastReadSeq'),
    unreadCount: t.int({ resolve: ({ chat, lastReadSeq }) => chat.lastSeq - lastReadSeq }),
    user: t.relation('user'),
  }),
});
const MessageRef = builder.prismaObject('Message', {
  fields: (t) => ({
    id: t.id({ resolve: ({ id }) => String(id) }),
    seq: t.exposeInt('seq'),
    content: t.exposeString('content', { nullable: true }),
    createdAt: t.string({ resolve: ({ createdAt }) => createdAt.toISOString() }),
    editedAt: t.string({ nullable: true, resolve: ({ editedAt }) => editedAt?.toISOString() }),
    sender: t.relation('sender', { nullable: true }),
    chat: t.relation('chat'),
    replyTo: t.relation('replyTo', { nullable: true }),
    files: t.relation('files', { query: { orderBy: { place: 'asc' } } }),
    mentions: t.relation('mentions'),
    reactions: t.relation('reactionCounts', { query: { orderBy: { createdAt: 'asc' } } }),
  }),
});
builder.prismaObject('Mention', { fields: (t) => ({ user: t.relation('user') }) });
builder.prismaObject('ReactionCount', {
  fields: (t) => ({
    emoji: t.exposeString('emoji'),
    count: t.exposeInt('count'),
    viewerReacted: t.boolean({
      resolve: async ({ chatId, seq, emoji }, _, { ownReactions }) =>
        (await ownReactions.load(`${chatId} ${seq}`)).has(emoji),
    }),
  }),
});
builder.prismaObject('Chat', {
  fields: (t) => ({
    id: t.id({ resolve: ({ id }) => String(id) }),
    type: t.string({ resolve: ({ type }) => type }),
    name: t.exposeString('name', { nullable: true }),
    lastSeq: t.exposeInt('lastSeq'),
    lastActivityAt: t.string({ resolve: ({ lastActivityAt }) => lastActivityAt.toISOString() }),
    memberCount: t.exposeInt('memberCount'),
    messages: t.relation('messages', {
      args: { last: t.arg.int({ required: true }) },
      query: ({ last }) => ({ orderBy: { seq: 'desc' }, take: last }),
    }),
    members: t.relation('members', {
      args: { first: t.arg.int({ required: true }) },
      query: ({ first }) => ({ orderBy: { userId: 'asc' }, take: first }),
    }),
    lastMessage: t.field({
      type: MessageRef,
      nullable: true,
      resolve: ({ id, lastSeq }, _, { messages }) => messages.load({ chatId: id, seq: lastSeq }),
    }),
    peer: t.prismaField({
      type: UserRef,
      nullable: true,
      select: (_, __, nestedSelection) => ({ members: { take: 2, select: { userId: true, user: nestedSelection() } } }),
      resolve: (_, { type, members }, __, { userId }) =>
        type === 'SINGLE' ? members.find((member) => member.userId !== userId)?.user : null,
    }),
    viewerMembership: t.field({
      type: MemberRef,
      nullable: true,
      resolve: ({ id }, _, { memberships }) => memberships.load(id),
    }),
  }),
});
const ViewerRef = builder.objectRef<object>('Viewer').implement({
  fields: (t) => ({
    user: t.prismaField({
      type: 'User',
      resolve: (query, _, __, { userId }) => prisma.user.findUniqueOrThrow({ ...query, where: { id: userId } }),
    }),
    chats: t.prismaField({
      type: ['Chat'],
      args: { first: t.arg.int({ required: true }) },
      resolve: (query, _, { first }, { userId }) =>
        prisma.chat.findMany({
          ...query,
          where: { members: { some: { userId } } },
          orderBy: [{ lastActivityAt: 'desc' }, { id: 'desc' }],
          take: first,
        }),
    }),
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

builder.queryType({
  fields: (t) => ({
    viewer: t.field({ type: ViewerRef, resolve: () => ({}) }),
    chat: t.prismaField({
      type: 'Chat',
      nullable: true,
      args: { id: t.arg.id({ required: true }) },
      resolve: (query, _, { id }, { userId }) =>
        prisma.chat.findFirst({ ...query, where: { id: BigInt(id), members: { some: { userId } } } }),
    }),
    node: t.prismaField({
      type: 'Message',
      nullable: true,
      args: { id: t.arg.id({ required: true }) },
      resolve: (query, _, { id }, { userId }) =>
        prisma.message.findFirst({ ...query, where: { id: BigInt(id), chat: { members: { some: { userId } } } } }),
    }),
  }),
});
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
    return createContext(BigInt(payload.sub ?? '0'));
  },
});
const server = createServer((request, response) => void yoga(request, response));
server.listen(0, '127.0.0.1', () => {
  const address = server.address();
  if (address !== null && typeof address === 'object') process.stdout.write(`http://127.0.0.1:${address.port}\n`);
});
process.on('SIGTERM', () => process.exit(0));
