import type { IncomingMessage, ServerResponse } from 'node:http';
import { OperationTypeNode } from 'graphql';
import { createContext, identifyAsker, type Context } from '../api/context.ts';
import { requestLimits } from '../api/request.ts';
import { stageUpload } from './upload.ts';
import type { Upload } from './upload-value.ts';
import { isRecord, parseJson } from '../core/json.ts';
import { chooseJson } from '../http/accept.ts';
import { executePrepared, isKnown, sendResult, type GraphqlOptions } from '../http/graphql-operation.ts';
import { demandAllowed } from '../api/scope.ts';
import { uploadAccess } from '../api/scope-table.ts';
import { prepareParams, readParams } from '../http/params.ts';
import { BadMultipart, readBoundary, readParts, readText, type Part } from '../http/multipart.ts';
import { refuse } from '../http/refusal.ts';
import type { Handler } from '../http/respond.ts';
import type { Arrival } from './arrival.ts';
import { senderOf } from '../http/arriving.ts';
import { limitIdleness } from '../http/idleness.ts';
import { refusalFor } from '../http/upload-refusal.ts';

const maxFilesPerRequest = 10;

const codes: Record<number, string> = {
  401: 'UNAUTHENTICATED',
  403: 'FORBIDDEN',
  404: 'NOT_FOUND',
  429: 'RATE_LIMITED',
};

/**
 * Implements the GraphQL multipart request specification: a request has the operation, then a map from the files to its
 * variables, then the files, which are streamed into the file store. The operation is executed once all files have
 * arrived.
 */
export function serveGraphqlUpload(options: GraphqlOptions): Handler {
  const { services } = options;
  return async (request, response) => {
    limitIdleness(request, services.uploadIdleMs);
    const uploads: Upload[] = [];
    try {
      const asker = await identifyAsker(services.accounts, request.headers);
      const context = createContext(services, { asker, from: request });
      const sender = senderOf(services, demandAllowed(asker, uploadAccess), request);
      const result = await services.arrivals.during(sender, (arrival) =>
        execute(options, context, { request, response, arrival, uploads }),
      );
      sendResult(response, result, chooseJson(request.headers.accept) ?? 'application/json');
    } catch (error) {
      const refusal = refusalFor(error, request);
      if (refusal === null) throw error;
      const code = codes[refusal.status] ?? 'BAD_REQUEST';
      const body = { errors: [{ message: refusal.message, extensions: { code } }] };
      await refuse(request, response, { ...refusal, body });
    } finally {
      // This has no effect on uploads that a mutation has kept.
      await Promise.all(uploads.map(({ staged }) => staged.discard()));
    }
  };
}

async function execute(
  options: GraphqlOptions,
  context: Context,
  {
    request,
    response,
    arrival,
    uploads,
  }: {
    request: IncomingMessage;
    response: ServerResponse;
    arrival: Arrival;
    uploads: Upload[];
  },
) {
  const parts = readParts(request, readBoundary(request.headers['content-type']) ?? '');
  const params = readParams(readField(await nextField(parts, 'operations'), 'operations'));
  const { variables } = params;
  const sender = { isKnown: isKnown(context.asker) };
  const preparation = prepareParams(options.documents, params, sender);
  const execution = { preparation, variables };
  // The operation is checked before the server accepts any file.
  if ('errors' in preparation) return executePrepared(options, execution, { asker: context.asker, from: request });
  if (preparation.operation.operation === OperationTypeNode.SUBSCRIPTION) {
    throw new BadMultipart('"operations" must hold a query or a mutation.');
  }
  const map = readMap(readField(await nextField(parts, 'map'), 'map'), variables ?? {});
  for await (const { name, fileName, body } of parts) {
    const places = map.get(name);
    if (fileName === null || places === undefined)
      throw new BadMultipart('The form has a file that "map" does not name.');
    const upload = await stageUpload(context, arrival, { name: fileName, body });
    uploads.push(upload);
    for (const put of places) put(upload);
    map.delete(name);
  }
  if (map.size > 0) throw new BadMultipart('The form lacks a file that "map" names.');
  return executePrepared(options, execution, { asker: context.asker, from: request, response });
}

async function nextField(parts: AsyncGenerator<Part>, name: string): Promise<string> {
  const { value: part, done } = await parts.next();
  if (done === true || part.name !== name || part.fileName !== null) {
    throw new BadMultipart('Send the fields "operations" and "map" first, in this order.');
  }
  return readText(part, requestLimits.maxBodyBytes);
}

function readField(text: string, name: string): unknown {
  const json = parseJson(text);
  if (json === undefined) throw new BadMultipart(`"${name}" is not JSON.`);
  return json;
}

/** Returns, for each file, the functions that assign an upload to the variable. */
function readMap(map: unknown, variables: Record<string, unknown>): Map<string, ((upload: Upload) => void)[]> {
  if (!isRecord(map)) throw new BadMultipart('"map" must be a JSON object.');
  const entries = Object.entries(map);
  if (entries.length > maxFilesPerRequest)
    throw new BadMultipart(`Send at most ${maxFilesPerRequest} files in one request.`);
  return new Map(
    entries.map(([name, paths]) => {
      if (!Array.isArray(paths) || paths.length !== 1)
        throw new BadMultipart('"map" must assign each file to exactly one variable.');
      return [name, paths.map((path: unknown) => findPlace(path, variables))];
    }),
  );
}

/**
 * Resolves a path such as `variables.file` or `variables.input.files.0`, at which the variables must have a null as a
 * placeholder for the file.
 */
function findPlace(path: unknown, variables: Record<string, unknown>): (upload: Upload) => void {
  const [root, ...keys] = typeof path === 'string' ? path.split('.') : [];
  const last = keys.pop();
  let holder: unknown = root === 'variables' ? variables : undefined;
  for (const key of keys) holder = readOwn(holder, key);
  if (last === undefined || readOwn(holder, last) !== null)
    throw new BadMultipart('"map" must name a variable that is null.');
  return (upload) => void Reflect.set(Object(holder), last, upload);
}

function readOwn(holder: unknown, key: string): unknown {
  if (typeof holder !== 'object' || holder === null || !Object.hasOwn(holder, key)) return undefined;
  return Reflect.get(holder, key);
}
