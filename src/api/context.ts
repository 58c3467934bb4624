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

/** The services that all executions on a server share. */
export type Services = {
  db: Db;
  accounts: Accounts;
  limits: RateLimits;
  metrics: Metrics;
  report: Report;
  /** Returns the network that a request comes from, as rate limits count it. Pass null outside a request. */
  addressOf: (request: IncomingMessage | null) => string;
  /** Reads the newest cursor of the log. */
  readCursor: () => Promise<string>;
  /** Groups frequent writes to the database into shared commits. */
  writes: GroupCommit;
  /**
   * Call this after an erasure has begun, so that the rest of the account's data is removed immediately instead of at
   * the next scheduled run.
   */
  continueDeletions: () => void;
  files: FileStorage;
  /** The requests that are uploading files right now. */
  arrivals: Arrivals;
  /** Resumable uploads, which arrive in pieces. */
  partials: PartialUploads;
  partialLeases: PartialUploadLeases;
  /** The exports of users' data that are in progress. */
  exports: ExportTurns;
  fileLinks: FileLinks;
  webhooks: WebhookSettings;
  /** How long an upload may be almost idle, in ms. */
  uploadIdleMs: number;
  /** Limits how often typing notifications are passed on. */
  typing: TypingGate;
  /** Queues searches, which use their own connections. */
  searches: SearchTurns;
  /** Limits operations with large results. */
  largeOperations: LargeOperations;
};

/**
 * Everything that an execution has access to. `asker` is a function, so that calls to it can be observed. An execution
 * that never calls it has the same result for everyone, and `live/shared-renderer.ts` shares that result. `asker` is
 * not a getter, because Yoga and object spread copy the context, and copying would trigger a getter.
 */
export type Context = Services & {
  asker: () => Caller | null;
  loaders: Loaders;
  userAgent: string | null;
  /** The network that the request comes from. */
  address: string;
  /** The last cursor that a reconnecting EventSource received, which replaces `after`. */
  lastEventId: string | null;
  /**
   * Where a subscription without `after` starts if the client requested it some time ago, as a cursor; null to start
   * now.
   */
  askedAt: string | null;
  /** The id of the logged event that this execution renders; null if it does not render an event. */
  eventId: bigint | null;
  /** Set before the execution if the operation selects `eventCursor`. */
  eventCursor: string | null;
  /** The resources that the operation has used so far. */
  usage: Usage;
  /** Lets a mutation render the results of its changes in turn with others; set before the mutation is executed. */
  renderTurns: RenderTurns | null;
};

/**
 * Creates the context of one operation. Without `loaders`, the operation gets its own loaders, so that it reads each
 * row only once.
 */
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
 * Identifies the caller by the `Authorization` and `parley-act-as` headers of a request. A refusal is delayed until the
 * caller is needed. Only then does the returned function throw Unauthenticated, Forbidden for a user that the program
 * may not act as, or IssuerUnavailable for a token that cannot be verified now. This allows a client to send an expired
 * token when it refreshes its session.
 */
export function identifyAsker(accounts: Accounts, headers: IncomingHttpHeaders): Promise<() => Caller | null> {
  const { authorization, 'user-agent': userAgent = null, [actAsHeader]: actAs } = headers;
  // If a header is sent twice, Node joins the values, and the joined value names no user.
  return lateRefusal(
    authenticate(accounts, { authorization, userAgent, actAs: actAs === undefined ? null : String(actAs) }),
  );
}

/**
 * Identifies the asker by the token in a stream's URL. Call `isTokenLive` later to check that the token is still valid.
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
 * Returns the sender of an operation that does not require a user: an asker or a server key. Throws Unauthenticated if
 * no one is signed in.
 */
export function requireCaller(context: Context): Caller {
  return demandCaller(context.asker);
}

/** Returns whether the function returned by `identifyAsker` may throw this error. */
export function isRefusal(error: unknown): error is Unauthenticated | IssuerUnavailable | Forbidden {
  return error instanceof Unauthenticated || error instanceof IssuerUnavailable || error instanceof Forbidden;
}

/**
 * Returns the asker of an operation that requires one. Throws Unauthenticated if no one is signed in, and Forbidden for
 * a server key that names no user.
 */
export function requireAsker(context: Context): Asker {
  return demandAsker(context.asker);
}

/**
 * Returns the program that sends a request about the whole server, even if the program acts as a user. Throws Forbidden
 * for a key without the scope, and for a user on a device. Call this for operations that only programs may use.
 */
export function requireProgram(context: Context, scope: Scope): Program {
  const caller = demandCaller(context.asker);
  if (caller.kind !== 'KEY') throw new Forbidden(`Only a program with an API key and the scope ${scope} can do this.`);
  if (!caller.scopes.has(scope)) throw new Forbidden(`This API key lacks the scope ${scope}.`);
  return caller;
}

/**
 * Returns the asker in a field that depends on the viewer, such as `viewerMembership`. Returns null for a server key
 * that names no user; such a field is then empty. Throws Unauthenticated if no one is signed in.
 */
export function findViewer(context: Context): Asker | null {
  const caller = demandCaller(context.asker);
  return hasUser(caller) ? caller : null;
}

/**
 * Makes the rest of the operation run as the user who has just signed in, because the fields under `SignedIn.viewer`
 * take the asker from the context. Mutations run one after the other, and each one includes everything that is selected
 * under it.
 */
export function continueAs<SignedIn extends { asker: Asker }>(context: Context, signedIn: SignedIn): SignedIn {
  context.asker = () => signedIn.asker;
  return signedIn;
}

/** Returns the asker of a request outside an operation. Throws like `requireAsker`. */
export function demandAsker(identify: () => Caller | null): Asker {
  const caller = demandCaller(identify);
  if (hasUser(caller)) return caller;
  throw new Forbidden(`A server key can do this only as a user: name one in the header ${actAsHeader}.`);
}

/** Throws Unauthenticated if a request identifies no one. */
function demandCaller(identify: () => Caller | null): Caller {
  const caller = identify();
  if (caller === null) throw new Unauthenticated('An access token is required: send `Authorization: Bearer …`.');
  return caller;
}
