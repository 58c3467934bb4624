import type { IncomingMessage, ServerResponse } from 'node:http';
import type { ExecutionResult } from 'graphql';
import type { Services } from '../api/context.ts';
import type { Preparation } from '../api/document.ts';
import { limitHeaders } from '../api/limit.ts';
import { requestLimits } from '../api/request.ts';
import { encodeId } from '../core/id.ts';
import { isRecord, parseJson } from '../core/json.ts';
import type { KeyAsker } from '../core/asker.ts';
import { Forbidden, RateLimited, Unauthenticated } from '../errors.ts';
import { readText } from '../http/body.ts';
import { executePrepared, type GraphqlOptions } from '../http/graphql-operation.ts';
import { HttpError } from '../http/http-error.ts';
import { readMediaType } from '../http/media-type.ts';
import { refuse } from '../http/refusal.ts';
import type { Handler } from '../http/respond.ts';
import { dialectOf, readHookPayload, type Dialect } from './hook-payload.ts';
import { findHook } from './incoming-webhook.ts';

const document = `mutation IncomingWebhook($input: SendMessageInput!) {
  sendMessage(input: $input) {
    __typename
    ... on Error { message }
    ... on Message { id content createdAt chat { id } sender { id username } }
  }
}`;

/** The outcome of a request to a webhook. `code`: Discord's number and Slack's word for the error. */
type Outcome =
  | { message: Record<string, unknown> }
  | { status: number; code: [number, string]; reason: string; headers?: Record<string, string> };

const codes = {
  unknown: [10_015, 'no_service'],
  forbidden: [50_013, 'action_prohibited'],
  invalid: [50_035, 'invalid_payload'],
  empty: [50_006, 'no_text'],
  limited: [0, 'rate_limited'],
  failed: [0, 'rollup_error'],
} as const satisfies Record<string, readonly [number, string]>;

/**
 * Serves `POST /api/hooks/<token>`, which posts into the chat of an incoming webhook, as the webhook's bot, through the
 * executor that runs every other operation. Accepts what the incoming webhooks of Discord and Slack accept, and
 * responds as they do: with 204 or, for `?wait=true`, with the message. Responds with `ok` to payloads in Slack's
 * dialect, and to everything that is sent to the same path followed by `/slack`.
 */
export function serveIncomingWebhooks(options: GraphqlOptions): Handler {
  const preparation = options.documents.prepare(document, null, { isKnown: true });
  return async (request, response) => {
    response.setHeader('cache-control', 'no-store');
    const { pathname, searchParams } = new URL(request.url ?? '/', 'http://localhost');
    const [, , , token = '', suffix] = pathname.split('/');
    const sent: { dialect: Dialect } = { dialect: suffix === 'slack' ? 'SLACK' : 'DISCORD' };
    const outcome = await post(options, { request, response, preparation, token, sent });
    if ('message' in outcome)
      accept(response, outcome.message, { ...sent, waits: searchParams.get('wait') === 'true' });
    else await reject(request, response, { ...outcome, ...sent });
  };
}

type Posting = {
  request: IncomingMessage;
  response: ServerResponse;
  preparation: Preparation;
  token: string;
  /** The dialect that the path implies, until the payload has been read; then, the dialect of the payload. */
  sent: { dialect: Dialect };
};

async function post(
  options: GraphqlOptions,
  { request, response, preparation, token, sent }: Posting,
): Promise<Outcome> {
  const { services } = options;
  try {
    if (request.method !== 'POST') throw new HttpError(405, 'Send messages by POST.', { headers: { allow: 'POST' } });
    const { asker, chatId } = await identify(services, request, token);
    const payload = await readPayload(request);
    if (sent.dialect === 'DISCORD') sent.dialect = dialectOf(payload);
    const { content, username } = readHookPayload(payload, sent.dialect);
    if (content === '') return { status: 400, code: [...codes.empty], reason: 'The payload has no text.' };
    const custom = username === null ? null : { username };
    const variables = { input: { chatId: encodeId('Chat', chatId), content, custom } };
    const sender = { asker: () => asker, from: request, response };
    return readOutcome(await executePrepared(options, { preparation, variables }, sender));
  } catch (error) {
    if (error instanceof HttpError) {
      const code = error.status === 404 ? codes.unknown : codes.invalid;
      return { status: error.status, code: [...code], reason: error.message, headers: error.headers };
    }
    if (!(error instanceof RateLimited)) throw error;
    const { message, retryAfterSeconds, reached } = error;
    return limited(message, { retryAfterSeconds, ...reached });
  }
}

/**
 * Returns the bot of the webhook with that token, and its chat. Throws HttpError 404 if there is no such webhook,
 * HttpError 403 if the bot is suspended, and RateLimited for a network that has sent too many unknown tokens. Valid
 * URLs still work from such a network, because a network that calls a webhook that has ended often calls many active
 * webhooks too.
 */
async function identify(
  { db, accounts, limits, addressOf }: Services,
  request: IncomingMessage,
  token: string,
): Promise<{ asker: KeyAsker; chatId: bigint }> {
  const hook = await findHook(db, token);
  if (hook === null) {
    await limits.take('unknownHooks', { address: addressOf(request) });
    throw unknownHook();
  }
  try {
    return { asker: await accounts.programs.speakForBot(hook.grant), chatId: hook.chatId };
  } catch (error) {
    // The webhook has just ended.
    if (error instanceof Unauthenticated) throw unknownHook();
    if (error instanceof Forbidden) throw new HttpError(403, error.message);
    throw error;
  }
}

/**
 * Reads the payload: the JSON of the body, the JSON in a form's `payload` field (as Slack allows), or the fields of a
 * form that has no such field. A form whose text is JSON is also accepted, because curl sends such a form if no content
 * type is given. Throws HttpError for anything else.
 */
async function readPayload(request: IncomingMessage): Promise<Record<string, unknown>> {
  const { type } = readMediaType(request.headers['content-type']);
  if (type === 'multipart/form-data') {
    throw new HttpError(415, 'Incoming webhooks take no files: send content-type: application/json.');
  }
  const text = await readText(request, requestLimits.maxBodyBytes);
  const isForm = type === 'application/x-www-form-urlencoded' && !text.trimStart().startsWith('{');
  const payload = isForm ? readForm(new URLSearchParams(text)) : parseJson(text);
  if (!isRecord(payload)) throw new HttpError(400, 'The payload must be a JSON object.');
  return payload;
}

function readForm(form: URLSearchParams): unknown {
  const payload = form.get('payload');
  return payload === null ? Object.fromEntries(form) : parseJson(payload);
}

function readOutcome({ data, errors }: ExecutionResult): Outcome {
  const error = errors?.[0];
  if (error !== undefined) {
    const { code } = error.extensions;
    if (code === 'RATE_LIMITED') return limited(error.message, error.extensions);
    if (code === 'UNAUTHENTICATED') return { status: 404, code: [...codes.unknown], reason: unknownHook().message };
    const isOurs = code === 'INTERNAL';
    return { status: isOurs ? 500 : 400, code: [...(isOurs ? codes.failed : codes.invalid)], reason: error.message };
  }
  const result: unknown = data?.['sendMessage'];
  if (!isRecord(result)) return { status: 500, code: [...codes.failed], reason: 'Internal server error.' };
  const reason = String(result['message']);
  switch (result['__typename']) {
    case 'Message':
      return { message: result };
    case 'NotFound':
      return { status: 404, code: [...codes.unknown], reason };
    case 'Forbidden':
      return { status: 403, code: [...codes.forbidden], reason };
    default:
      return { status: 400, code: [...codes.invalid], reason };
  }
}

function limited(reason: string, reached: Record<string, unknown>): Outcome {
  return { status: 429, code: [...codes.limited], reason, headers: limitHeaders(reached) };
}

function unknownHook(): HttpError {
  return new HttpError(404, 'There is no such incoming webhook.');
}

function accept(
  response: ServerResponse,
  message: Record<string, unknown>,
  { dialect, waits }: { dialect: Dialect; waits: boolean },
): void {
  if (dialect === 'SLACK') {
    response.writeHead(200, { 'content-type': 'text/plain; charset=utf-8' }).end('ok');
    return;
  }
  if (!waits) {
    response.writeHead(204).end();
    return;
  }
  const { id, content, createdAt: timestamp, chat, sender } = message;
  const body = {
    id,
    type: 0,
    content,
    channel_id: isRecord(chat) ? chat['id'] : null,
    author: isRecord(sender) ? { ...sender, bot: true } : null,
    timestamp,
  };
  response.writeHead(200, { 'content-type': 'application/json; charset=utf-8' }).end(JSON.stringify(body));
}

async function reject(
  request: IncomingMessage,
  response: ServerResponse,
  {
    status,
    code: [number, word],
    reason,
    headers = {},
    dialect,
  }: Exclude<Outcome, { message: unknown }> & {
    dialect: Dialect;
  },
): Promise<void> {
  const retryAfter = headers['retry-after'];
  const discord = {
    message: reason,
    code: number,
    ...(retryAfter !== undefined && { retry_after: Number(retryAfter), global: false }),
  };
  const form = dialect === 'SLACK' ? { body: word, type: 'text/plain' } : { body: discord };
  await refuse(request, response, { status, headers, ...form });
}
