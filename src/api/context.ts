import type { Db } from '../postgres/client.ts';
import type { GroupCommit } from '../chat/group-commit.ts';
import { authenticate, type Accounts } from '../account/account.ts';
import type { ExportTurns } from '../account/export-turn.ts';
import type { Arrivals } from '../file/arrival.ts';
import type { FileStorage } from '../file/file.ts';
import type { FileLinks } from '../file/file-link.ts';
import type { PartialUploads } from '../file/partial-upload.ts';
import type { PartialUploadLeases } from '../file/partial-upload-lease.ts';
import { authenticateStream, isStreamTokenLive } from '../account/stream-token.ts';
import type { IncomingHttpHeaders, IncomingMessage } from 'node:http';
import type { LargeOperations, RenderTurns } from './large-operation.ts';
import type { Asker } from '../core/asker.ts';
import type { RateLimits } from '../core/rate-limit.ts';
import { IssuerUnavailable, Unauthenticated } from '../errors.ts';
import { type TypingGate } from '../live/typing-pace.ts';
import { Loaders } from '../postgres/loader.ts';
import type { SearchTurns } from '../search/search-turn.ts';

/** The services that all executions of a server share. */
export type Services = {
  db: Db;
  accounts: Accounts;
  limits: RateLimits;
  /** The network that a request comes from, as limits count it; pass null outside a request. */
  addressOf: (request: IncomingMessage | null) => string;
  /** The log's newest cursor. */
  readCursor: () => Promise<string>;
  /** Groups frequent writes to the database into shared commits. */
  writes: GroupCommit;
  /** Call this when an account is to be erased: the rest of its data is removed now, not at the next scheduled run. */
  continueDeletions: () => void;
  files: FileStorage;
  /** The requests that are sending files right now. */
  arrivals: Arrivals;
  /** Resumable uploads, which arrive in pieces. */
  partials: PartialUploads;
  partialLeases: PartialUploadLeases;
  /** The exports of users' data that are under way. */
  exports: ExportTurns;
  fileLinks: FileLinks;
  /** How long an upload may be nearly idle, in ms. */
  uploadIdleMs: number;
  /** Limits how often typing is passed on. */
  typing: TypingGate;
  /** Queues searches, which run on their own connections. */
  searches: SearchTurns;
  /** Limits operations with large answers. */
  largeOperations: LargeOperations;
};

/**
 * Everything that one execution may reach. `asker` is a function, so that calls of it can be observed: an execution
 * that never called it has the same result for everyone, and `live/shared-renderer.ts` shares that result. It is not a
 * getter, because Yoga and object spread copy the context, which would trigger a getter.
 */
export type Context = Services & {
  asker: () => Asker | null;
  loaders: Loaders;
  userAgent: string | null;
  /** The network that the request comes from. */
  address: string;
  /** The last cursor that a reconnecting EventSource received; it replaces `after`. */
  lastEventId: string | null;
  /** The cursor at which a subscription without `after` starts, if it was requested some time ago. */
  askedAt: string | null;
  /** Set before the execution when the operation selects `eventCursor`. */
  eventCursor: string | null;
  /** Set before the execution of a mutation: it renders the results of its changes in these turns. */
  renderTurns: RenderTurns | null;
};

export function createContext(
  services: Services,
  request: { asker: () => Asker | null } & Partial<
    Pick<Context, 'userAgent' | 'lastEventId' | 'askedAt' | 'loaders'>
  > & {
      from?: IncomingMessage | null;
    },
): Context {
  return {
    ...services,
    asker: request.asker,
    loaders: request.loaders ?? new Loaders(services.db),
    userAgent: request.userAgent ?? request.from?.headers['user-agent'] ?? null,
    address: services.addressOf(request.from ?? null),
    lastEventId: request.lastEventId ?? null,
    askedAt: request.askedAt ?? null,
    eventCursor: null,
    renderTurns: null,
  };
}

/**
 * Identifies the asker by a request's `Authorization` header. A bad token is not an error until the asker is needed:
 * only then is Unauthenticated thrown, or IssuerUnavailable for a token that cannot be verified now. So a client that
 * refreshes a session may send the expired token.
 */
export function identifyAsker(accounts: Accounts, headers: IncomingHttpHeaders): Promise<() => Asker | null> {
  const { authorization, 'user-agent': userAgent = null } = headers;
  return lateRefusal(authenticate(accounts, { authorization, userAgent }));
}

/**
 * Identifies the asker by the token in the URL of a stream. Call `isTokenLive` later to check whether the token is
 * still valid.
 */
export async function identifyStreamAsker(
  accounts: Accounts,
  token: string,
): Promise<{ asker: () => Asker; isTokenLive: () => Promise<boolean> }> {
  const asker = await lateRefusal(authenticateStream(accounts, token));
  return { asker, isTokenLive: async () => isStreamTokenLive(accounts, asker()) };
}

async function lateRefusal<Found extends Asker | null>(identifying: Promise<Found>): Promise<() => Found> {
  try {
    const asker = await identifying;
    return () => asker;
  } catch (error) {
    if (!(error instanceof Unauthenticated || error instanceof IssuerUnavailable)) throw error;
    return () => {
      throw error;
    };
  }
}

/** The asker of an operation that needs one. Throws Unauthenticated when no one is signed in. */
export function requireAsker(context: Context): Asker {
  return demandAsker(context.asker);
}

/**
 * Makes the user who has just signed in the asker of the rest of the operation: the fields under `SignedIn.viewer` take
 * the asker from the context. Mutations run one after the other, each with everything that is selected under it.
 */
export function continueAs<SignedIn extends { asker: Asker }>(context: Context, signedIn: SignedIn): SignedIn {
  context.asker = () => signedIn.asker;
  return signedIn;
}

/** The asker of a request outside an operation. Throws Unauthenticated when no one is signed in. */
export function demandAsker(identify: () => Asker | null): Asker {
  const asker = identify();
  if (asker === null) throw new Unauthenticated('An access token is required: send `Authorization: Bearer …`.');
  return asker;
}
