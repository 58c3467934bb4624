import type { ServerResponse } from 'node:http';
import type { GraphQLError, GraphQLFieldResolver, GraphQLObjectType } from 'graphql';
import type { Plugin } from 'graphql-yoga';
import type { Caller } from '../core/asker.ts';
import { isRecord } from '../core/json.ts';
import type { Activity } from '../core/limit.ts';
import { tightest } from '../core/rate-limit.ts';
import type { Context } from './context.ts';
import { rateHeaders } from './usage.ts';

type Args = Record<string, unknown>;

/** The activity against which one use of a field counts, with the number of uses (1 by default) or their weight. */
type Charge = { as: Activity; count?: (args: Args) => number; weight?: (args: Args) => number };

/**
 * Mutations that are not counted here: signing out, and mutations whose own code limits sign-ins, passwords, codes or
 * refreshes.
 */
const ownCharges = new Set([
  ...['signUp', 'signIn', 'signInWithToken', 'refreshSession', 'changePassword', 'deleteAccount', 'signOut'],
  ...['requestPasswordReset', 'resetPassword', 'verifyEmail'],
]);

const mutationCharges: Record<string, Charge[]> = {
  sendMessage: [{ as: 'sends', weight: weighContent }],
  editMessage: [{ as: 'sends', weight: weighContent }],
  deleteMessage: [{ as: 'sends' }],
  addReaction: [{ as: 'reactions' }],
  removeReaction: [{ as: 'reactions' }],
  markRead: [{ as: 'readMarkers' }],
  startTyping: [{ as: 'typing' }],
  setPresence: [{ as: 'presence' }],
  updateProfile: [{ as: 'profile' }],
  setAvatar: [{ as: 'profile' }],
  // Uploads are counted when their bytes arrive, no matter which protocol they use.
  uploadFile: [],
  createChat: [{ as: 'newChats' }, { as: 'newMembers', count: ({ input }) => countOf(input, 'memberIds') }],
  addMembers: [{ as: 'changes' }, { as: 'newMembers', count: (args) => countOf(args, 'userIds') }],
  upsertChat: [{ as: 'changes' }, { as: 'newMembers', count: ({ input }) => countOfUpsert(input) }],
};

const queryCharges: Record<string, Charge[]> = {
  searchMessages: [{ as: 'searches' }],
  admin: [{ as: 'searches' }],
  user: [{ as: 'searches' }],
  users: [{ as: 'searches' }],
  publicChannels: [{ as: 'searches', count: ({ search }) => (typeof search === 'string' ? 1 : 0) }],
};

/** The charge for mutations that the table does not name, so that mutations of future features are limited too. */
const usualCharge: Charge[] = [{ as: 'changes' }];

/** Counts each use of a mutation before it runs. */
export function limitMutation(name: string, resolve: Resolver): Resolver {
  return ownCharges.has(name) ? resolve : limited(mutationCharges[name] ?? usualCharge, resolve);
}

/** Counts each use of an expensive query before it runs. */
export function limitQueries(type: GraphQLObjectType | null | undefined): void {
  for (const [name, field] of Object.entries(type?.getFields() ?? {})) {
    const charges = queryCharges[name];
    if (charges !== undefined && field.resolve !== undefined) field.resolve = limited(charges, field.resolve);
  }
}

/** Resolves a field of a root type. */
export type Resolver = GraphQLFieldResolver<unknown, Context, Args>;

function limited(charges: Charge[], resolve: Resolver): Resolver {
  return async (source, args, context, info) => {
    const asker = context.asker();
    // If there is no asker, the resolver itself refuses the operation.
    if (asker !== null) for (const charge of charges) await take(context, asker, { charge, args });
    return resolve(source, args, context, info);
  };
}

async function take(context: Context, asker: Caller, { charge, args }: { charge: Charge; args: Args }): Promise<void> {
  const use = charge.weight === undefined ? { count: charge.count?.(args) ?? 1 } : { weight: charge.weight(args) };
  if (use.count === 0) return;
  const state = await context.limits.count(charge.as, { asker, address: context.address }, use);
  context.usage.limit = tightest([context.usage.limit, state]);
}

/**
 * A message counts as one use, plus one for every 1,000 characters of its text and custom data, because a longer
 * message costs more to store and deliver.
 */
function weighContent(args: Args): number {
  const { content, custom } = isRecord(args['input']) ? args['input'] : args;
  const customLength = isRecord(custom) ? JSON.stringify(custom).length : 0;
  return 1 + Math.floor(((typeof content === 'string' ? content.length : 0) + customLength) / 1_000);
}

/**
 * A call may name up to 10,000 members, and most of them are usually in the chat already. The call counts as at most
 * 1,000 new members, which is also the maximum of the other mutations, so that no single call exceeds a whole quota.
 */
function countOfUpsert(input: unknown): number {
  return Math.min(1_000, countOf(input, 'memberIds'));
}

function countOf(args: unknown, name: string): number {
  const list: unknown = typeof args === 'object' && args !== null ? Reflect.get(args, name) : null;
  return Array.isArray(list) ? list.length : 0;
}

/**
 * Returns the response headers for the limit that one of the errors reports: `retry-after`, and those of
 * draft-ietf-httpapi-ratelimit-headers-11.
 */
export function describeLimits(errors: readonly GraphQLError[] | undefined): Record<string, string> {
  const extensions = errors?.find((error) => error.extensions['code'] === 'RATE_LIMITED')?.extensions;
  return extensions === undefined ? {} : limitHeaders(extensions);
}

/** Returns the response headers for a limit, read from the extensions of its error. */
export function limitHeaders(reached: Record<string, unknown>): Record<string, string> {
  const { retryAfterSeconds, limit, count, windowSeconds } = reached;
  const headers = { 'retry-after': String(retryAfterSeconds) };
  if (typeof limit !== 'string') return headers;
  const quota = { count: Number(count), windowSeconds: Number(windowSeconds) };
  const state = { setting: limit, quota, remaining: 0, resetSeconds: Number(retryAfterSeconds) };
  return { ...headers, ...rateHeaders(state) };
}

/** Adds the rate-limit headers to Yoga's responses. */
export const tellLimits: Plugin<object, { response: ServerResponse }> = {
  onResultProcess: ({ result, serverContext }) => {
    if (Array.isArray(result) || !('errors' in result)) return;
    for (const [name, value] of Object.entries(describeLimits(result.errors)))
      serverContext.response.setHeader(name, value);
  },
};
