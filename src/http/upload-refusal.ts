import type { IncomingMessage } from 'node:http';
import { limitHeaders } from '../api/limit.ts';
import {
  ExpectedError,
  Forbidden,
  IssuerUnavailable,
  NotFound,
  RateLimited,
  StoreFull,
  StoreUnavailable,
  TooLarge,
  Unauthenticated,
} from '../errors.ts';
import { BadMultipart } from './multipart.ts';

/** The status, message and headers of the response to a refused upload. */
export type UploadRefusal = { status: number; message: string; headers?: Record<string, string> };

/**
 * Returns the response that tells the client why its upload was refused, or null for a server fault and for a client
 * that has disconnected. Returns null for a server fault and for a client that has disconnected.
 */
export function refusalFor(error: unknown, request: IncomingMessage): UploadRefusal | null {
  if (error === request.errored) return null;
  if (!(error instanceof Error)) return null;
  if (error instanceof Unauthenticated) return { status: 401, message: error.message };
  if (error instanceof TooLarge) return { status: 413, message: error.message };
  if (error instanceof RateLimited) {
    const { message, retryAfterSeconds, reached } = error;
    return { status: 429, message, headers: limitHeaders({ retryAfterSeconds, ...reached }) };
  }
  if (error instanceof StoreFull) return { status: 507, message: error.message };
  if (error instanceof StoreUnavailable || error instanceof IssuerUnavailable) {
    return { status: 503, message: error.message };
  }
  if (error instanceof Forbidden) return { status: 403, message: error.message };
  if (error instanceof NotFound) return { status: 404, message: error.message };
  if (error instanceof BadMultipart || error instanceof ExpectedError) return { status: 400, message: error.message };
  return null;
}
