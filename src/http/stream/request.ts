import type { IncomingMessage } from 'node:http';
import { requestLimits } from '../../api/request.ts';
import { chooseStream } from '../accept.ts';
import { readJson } from '../body.ts';
import { readParams, readQueryString, type GraphqlParams } from '../params.ts';
import { eventStream, multipart, type Framing } from './framing.ts';

/**
 * Returns the framing that the client asks for, which is the first of the two that the client accepts; null if it
 * accepts neither.
 */
export function chooseFraming(accept: string | undefined): Framing | null {
  const kind = chooseStream(accept);
  if (kind === null) return null;
  return kind === 'MULTIPART' ? multipart : eventStream;
}

/**
 * Reads the parameters from a POST's JSON body or a GET's query string. Throws HttpError when the request is not a
 * GraphQL request.
 */
export async function readStreamParams(request: IncomingMessage, url: URL): Promise<GraphqlParams> {
  if (request.method === 'GET') return readQueryString(url.searchParams);
  return readParams(await readJson(request, requestLimits.maxBodyBytes));
}
