import type { IncomingMessage } from 'node:http';
import { identifyAsker, type Services } from '../api/context.ts';
import { demandAllowed } from '../api/scope.ts';
import { uploadAccess } from '../api/scope-table.ts';
import type { Arrival } from './arrival.ts';
import { senderOf } from '../http/arriving.ts';
import { limitIdleness } from '../http/idleness.ts';
import { saveUploads, stageUpload, type FileAnswer } from './upload.ts';
import type { Upload } from './upload-value.ts';
import { BadMultipart, readBoundary, readParts } from '../http/multipart.ts';
import { refuse } from '../http/refusal.ts';
import { asProblem } from '../http/rest/problem.ts';
import { refusalFor } from '../http/upload-refusal.ts';
import { sendJson, type Handler } from '../http/respond.ts';

const maxFilesPerRequest = 10;

/**
 * Serves `POST /api/upload`, which accepts multipart/form-data with 1 to 10 files, in fields of any name, with a bearer
 * token. Responds with 201 and `{ files }` in the order of the request. If it responds with a problem (RFC 9457)
 * instead, none of the files was saved.
 */
export function serveUpload(services: Services): Handler {
  return async (request, response) => {
    if (request.method !== 'POST') {
      response.setHeader('allow', 'POST');
      await refuse(request, response, asProblem(405, 'Send files by POST.'));
      return;
    }
    limitIdleness(request, services.uploadIdleMs);
    try {
      const asker = demandAllowed(await identifyAsker(services.accounts, request.headers), uploadAccess);
      const files = await services.arrivals.during(senderOf(services, asker, request), (arrival) =>
        takeFiles(services, arrival, request),
      );
      // The response contains links that work for anyone who has them, so it must not be cached.
      response.setHeader('cache-control', 'no-store');
      sendJson(response, 201, { files });
    } catch (error) {
      const refusal = refusalFor(error, request);
      if (refusal === null) throw error;
      if (refusal.status === 401) response.setHeader('www-authenticate', 'Bearer');
      await refuse(request, response, { ...refusal, ...asProblem(refusal.status, refusal.message) });
    }
  };
}

async function takeFiles(services: Services, arrival: Arrival, request: IncomingMessage): Promise<FileAnswer[]> {
  const boundary = readBoundary(request.headers['content-type']);
  if (boundary === null) throw new BadMultipart('Send files as content-type: multipart/form-data.');
  const uploads: Upload[] = [];
  try {
    for await (const { fileName, body } of readParts(request, boundary)) {
      // Fields that are not files are ignored.
      if (fileName === null) continue;
      if (uploads.length === maxFilesPerRequest) {
        throw new BadMultipart(`Send at most ${maxFilesPerRequest} files in one request.`);
      }
      uploads.push(await stageUpload(services, arrival, { name: fileName, body }));
    }
    if (uploads.length === 0) throw new BadMultipart('The form contains no file.');
    return await saveUploads(services, arrival.asker, uploads);
  } finally {
    await Promise.all(uploads.map(({ staged }) => staged.discard()));
  }
}
