import type { Db } from '../postgres/client.ts';
import type { GroupCommit } from '../chat/group-commit.ts';
import { authenticate, type Accounts } from '../account/account.ts';
import type { Arrivals } from '../file/arrival.ts';
import type { FileStorage } from '../file/file.ts';
import type { FileLinks } from '../file/file-link.ts';
import type { PartialUploads } from '../file/partial-upload.ts';
import type { PartialUploadLeases } from '../file/partial-upload-lease.ts';
import { authenticateStream } from '../account/stream-token.ts';
import type { IncomingMessage } from 'node:http';
import type { Asker } from '../core/asker.ts';
import type { RateLimits } from '../core/rate-limit.ts';
import { Unauthenticated } from '../errors.ts';
import { type TypingGate } from '../live/typing-pace.ts';
import { Loaders } from '../postgres/loader.ts';

/** What all executions of a server share. */
export type Services = {
  db: Db;
  accounts: Accounts;
  limits: RateLimits;
  /** The network that a request comes from, as limits count it; null: of no request. */
  addressOf: (request: IncomingMessage | null) => string;
  /** The log's newest cursor. */
  readCursor: () => Promise<string>;
  /** The way of hot writes into the database. */
  writes: GroupCommit;
  /** There is an account to be erased: what is left of it is to be taken away, now and not only at its time. */
  continueDeletions: () => void;
  files: FileStorage;
  /** The requests that bring files just now. */
  arrivals: Arrivals;
  /** Uploads that come in pieces. */
  partials: PartialUploads;
  partialLeases: PartialUploadLeases;
  fileLinks: FileLinks;
  /** How long whoever uploads may send next to nothing. */
  uploadIdleMs: number;
  /** How often somebody's typing is told of. */
  typing: TypingGate;
};

/**
 * What one execution may reach. The viewer is asked for, never read as a property: an execution that never asked has a
 * result that is the same for everybody, and `live/shared-subscription.ts` shares it. A function survives being copied into another
 * object, as Yoga and object spread do; a getter would be called by the copy.
 */
export type Context = Services & {
  asker: () => Asker | null;
  loaders: Loaders;
  userAgent: string | null;
  /** The network that the request comes from. */
  address: string;
  /** The cursor that a reconnecting EventSource saw last: it stands for `after`. */
  lastEventId: string | null;
  /** Where a subscription without `after` begins, when it was asked for some time ago. */
  askedAt: string | null;
  /** Set before the execution begins when its operation asks for `eventCursor`. */
  eventCursor: string | null;
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
  };
}

/**
 * Who asks, by a request's `Authorization` header. A bad token is nobody's business until the viewer is asked for: then
 * it is Unauthenticated. So whoever comes to refresh a session may bring the token that ran out.
 */
export function identifyAsker(accounts: Accounts, authorization: string | undefined): Promise<() => Asker | null> {
  return lateRefusal(authenticate(accounts, authorization));
}

/** The same, by the token in the URL of a stream. */
export function identifyStreamAsker(accounts: Accounts, token: string): Promise<() => Asker | null> {
  return lateRefusal(authenticateStream(accounts, token));
}

async function lateRefusal(identifying: Promise<Asker | null>): Promise<() => Asker | null> {
  try {
    const asker = await identifying;
    return () => asker;
  } catch (error) {
    if (!(error instanceof Unauthenticated)) throw error;
    return () => {
      throw error;
    };
  }
}

/** The asker of an operation that needs one. Throws Unauthenticated when no one is signed in. */
export function requireAsker(context: Context): Asker {
  return demandAsker(context.asker);
}

/** The same, outside an operation. */
export function demandAsker(identify: () => Asker | null): Asker {
  const asker = identify();
  if (asker === null) throw new Unauthenticated('An access token is required: send `Authorization: Bearer …`.');
  return asker;
}
