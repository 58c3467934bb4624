import type { Db } from '../postgres/client.ts';
import type { GroupCommit } from '../chat/group-commit.ts';
import { authenticate, type Accounts } from '../account/account.ts';
import { actAsHeader } from '../account/program.ts';
import type { ExportTurns } from '../account/export-turn.ts';
import type { Arrivals } from '../file/arrival.ts';
import type { FileStorage } from '../file/file.ts';
import type { FileLinks } from '../file/file-link.ts';
import type { PartialUploads } from '../file/partial-upload.ts';
import type { PartialUploadLeases } from '../file/partial-upload-lease.ts';
import { authenticateStream, isStreamTokenLive } from '../account/stream-token.ts';
import type { IncomingHttpHeaders, IncomingMessage } from 'node:http';
import { noUsage, type Usage } from './usage.ts';
import type { Report } from '../core/report.ts';
import { requestScope } from '../core/request-scope.ts';
import type { LargeOperations, RenderTurns } from './large-operation.ts';
import { hasUser, type Asker, type Caller, type Program, type SessionAsker } from '../core/asker.ts';
import type { Metrics } from '../core/metric.ts';
import type { Scope } from '../core/scope.ts';
import type { RateLimits } from '../core/rate-limit.ts';
import { Forbidden, IssuerUnavailable, Unauthenticated } from '../errors.ts';
import { type TypingGate } from '../live/typing-pace.ts';
import { Loaders } from '../postgres/loader.ts';
import type { SearchTurns } from '../search/search-turn.ts';
import type { WebhookSettings } from '../webhook/webhook.ts';

/** The services that all executions of a server share. */
export type Services = {
  db: Db;
  accounts: Accounts;
  limits: RateLimits;
  metrics: Metrics;
  report: Report;
  /** The network that a request comes from, as rate limits count it; pass null outside a request. */
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
  webhooks: WebhookSettings;
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
 * Everything that one execution may reach. `asker` is a function, so that calls to it can be observed: an execution
 * that never called it has the same result for everyone, and `live/shared-renderer.ts` shares that result. It is not a
 * getter, because Yoga and object spread copy the context, which would trigger a getter.
 */
export type Context = Services & {
  asker: () => Caller | null;
  loaders: Loaders;
  userAgent: string | null;
  /** The network that the request comes from. */
  address: string;
  /** The last cursor that a reconnecting EventSource received; it replaces `after`. */
  lastEventId: string | null;
  /**
   * The cursor at which a subscription without `after` starts if the client requested it some time ago; null if it
   * starts now.
   */
  askedAt: string | null;
  /** The id of the logged event that this execution renders; null if it renders none. */
  eventId: bigint | null;
  /** Set before the execution when the operation selects `eventCursor`. */
  eventCursor: string | null;
  /** What the operation has used so far. */
  usage: Usage;
  /** The turns in which a mutation renders the results of its changes; set before the mutation is executed. */
  renderTurns: RenderTurns | null;
};

/** The context of one operation. Without `loaders`, the operation gets its own, so that it reads each row once. */
export function createContext(
  services: Services,
  request: { asker: () => Caller | null } & Partial<
    Pick<Context, 'userAgent' | 'lastEventId' | 'askedAt' | 'loaders' | 'eventId'>
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
    eventId: request.eventId ?? null,
    eventCursor: null,
    usage: noUsage(),
    renderTurns: null,
  };
}

/**
 * Identifies the caller by a request's `Authorization` and `parley-act-as` headers. Nothing is refused until the caller
 * is needed: only then does the returned function throw Unauthenticated, Forbidden for a user that the program may not
 * act as, or IssuerUnavailable for a token that cannot be verified now. So a client that refreshes a session may send
 * the expired token.
 */
export function identifyAsker(accounts: Accounts, headers: IncomingHttpHeaders): Promise<() => Caller | null> {
  const { authorization, 'user-agent': userAgent = null, [actAsHeader]: actAs } = headers;
  // Node joins the values of a header that is sent twice: together they name no user.
  return lateRefusal(
    authenticate(accounts, { authorization, userAgent, actAs: actAs === undefined ? null : String(actAs) }),
  );
}

/**
 * Identifies the asker by the token in the URL of a stream. Call `isTokenLive` later to check whether the token is
 * still valid.
 */
export async function identifyStreamAsker(
  accounts: Accounts,
  token: string,
): Promise<{ asker: () => SessionAsker; isTokenLive: () => Promise<boolean> }> {
  const asker = await lateRefusal(authenticateStream(accounts, token));
  return { asker, isTokenLive: async () => isStreamTokenLive(accounts, asker()) };
}

async function lateRefusal<Found extends Caller | null>(identifying: Promise<Found>): Promise<() => Found> {
  try {
    const asker = await identifying;
    const scope = requestScope.getStore();
    if (scope !== undefined) scope.caller = asker;
    return () => asker;
  } catch (error) {
    if (!isRefusal(error)) throw error;
    return () => {
      throw error;
    };
  }
}

/**
 * The sender of an operation that does not require a user: an asker or a server key. Throws Unauthenticated when no one
 * is signed in.
 */
export function requireCaller(context: Context): Caller {
  return demandCaller(context.asker);
}

/** Whether the function that `identifyAsker` returns may throw this error. */
export function isRefusal(error: unknown): error is Unauthenticated | IssuerUnavailable | Forbidden {
  return error instanceof Unauthenticated || error instanceof IssuerUnavailable || error instanceof Forbidden;
}

/**
 * The asker of an operation that needs one. Throws Unauthenticated when no one is signed in, and Forbidden for a server
 * key that names no user.
 */
export function requireAsker(context: Context): Asker {
  return demandAsker(context.asker);
}

/**
 * The program that sends a request about the whole server, whether it acts as a user or not. Throws Forbidden for a key
 * without the scope, and for a user on a device: call it where only programs may do something.
 */
export function requireProgram(context: Context, scope: Scope): Program {
  const caller = demandCaller(context.asker);
  if (caller.kind !== 'KEY') throw new Forbidden(`Only a program with an API key and the scope ${scope} can do this.`);
  if (!caller.scopes.has(scope)) throw new Forbidden(`This API key lacks the scope ${scope}.`);
  return caller;
}

/**
 * The asker in a field that depends on the viewer, such as `viewerMembership`; null for a server key that names no
 * user, to which such a field shows nothing. Throws Unauthenticated when no one is signed in.
 */
export function findViewer(context: Context): Asker | null {
  const caller = demandCaller(context.asker);
  return hasUser(caller) ? caller : null;
}

/**
 * The rest of the operation runs as the user who has just signed in: the fields under `SignedIn.viewer` take
 * the asker from the context. Mutations run one after the other, each with everything that is selected under it.
 */
export function continueAs<SignedIn extends { asker: Asker }>(context: Context, signedIn: SignedIn): SignedIn {
  context.asker = () => signedIn.asker;
  return signedIn;
}

/** The asker of a request outside an operation. Throws like `requireAsker`. */
export function demandAsker(identify: () => Caller | null): Asker {
  const caller = demandCaller(identify);
  if (hasUser(caller)) return caller;
  throw new Forbidden(`A server key can do this only as a user: name one in the header ${actAsHeader}.`);
}

/** Throws Unauthenticated when a request names no one. */
function demandCaller(identify: () => Caller | null): Caller {
  const caller = identify();
  if (caller === null) throw new Unauthenticated('An access token is required: send `Authorization: Bearer …`.');
  return caller;
}
