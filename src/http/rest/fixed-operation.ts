import { printFailures } from './operation-printer.ts';
import { referTo, type JsonSchema } from './schema-printer.ts';

const text = { type: 'string' };

function parameter(name: string, place: 'path' | 'query' | 'header', description: string): JsonSchema {
  return { name, in: place, required: place === 'path', description, schema: text };
}

const bytes = (description: string): JsonSchema => ({
  description,
  content: { 'application/octet-stream': { schema: { type: 'string', contentEncoding: 'binary' } } },
});

const uploaded: JsonSchema = {
  type: 'object',
  required: ['id', 'name', 'contentType', 'size', 'url'],
  properties: {
    id: { ...text, description: 'The id to use in `fileIds` of a message, or as an avatar.' },
    name: text,
    contentType: text,
    size: { type: 'integer', description: 'In bytes.' },
    url: { ...text, description: "A signed link, relative to the server's address." },
    note: { ...text, description: 'What the server could not do with the file.' },
  },
};

/** The authentication that an operation for users requires: a token and, for API keys, the user that they act as. */
export const signedIn: readonly JsonSchema[] = [{ token: [] }, { token: [], actAs: [] }];

const counted: JsonSchema = {
  type: 'object',
  required: ['created', 'skipped'],
  properties: {
    created: { type: 'integer' },
    skipped: { type: 'integer', description: 'The number of entries that already existed.' },
  },
};

const remarks: JsonSchema = {
  type: 'array',
  description: 'The first 1,000.',
  items: {
    type: 'object',
    required: ['line', 'path', 'message'],
    properties: { line: { type: 'integer', description: 'From 1.' }, path: text, message: text },
  },
};

const importReport: JsonSchema = {
  type: 'object',
  required: ['lines', 'users', 'chats', 'members', 'messages', 'ended', 'discarded', 'refused', 'errors', 'notes'],
  properties: {
    lines: { type: 'integer' },
    ...{ users: counted, chats: counted, members: counted, messages: counted },
    ended: {
      type: 'integer',
      description: 'The number of chats whose import has ended, so that their members now see them.',
    },
    discarded: { type: 'integer' },
    refused: { type: 'integer', description: 'The number of lines that were refused: `errors` says why.' },
    errors: remarks,
    notes: { ...remarks, description: 'Lines that were imported, but not exactly as they were sent.' },
  },
};

/** The body that incoming webhooks accept. Other properties that occur in Discord's and Slack's formats are ignored. */
const hookPayload: JsonSchema = {
  type: 'object',
  properties: {
    content: { ...text, description: "The text, in Discord's format." },
    text: { ...text, description: "The text, in Slack's format." },
    username: { ...text, description: "A label beside the bot's name." },
    embeds: {
      type: 'array',
      items: { type: 'object' },
      description: 'The text of the embeds is added to the message (Discord).',
    },
    attachments: {
      type: 'array',
      items: { type: 'object' },
      description: 'The text of the attachments is added to the message (Slack).',
    },
  },
};

/** The operations that do not run a document from the table of routes. */
export const fixedPaths: Readonly<Record<string, JsonSchema>> = {
  '/api/events': {
    get: {
      operationId: 'followEvents',
      tags: ['Events'],
      summary: 'Follow events as they happen (Server-Sent Events)',
      description: `Each event has its type as its name, a cursor as its id, and an Event as its data. A client that reconnects sends
the last id, as \`Last-Event-ID\` or as \`after\`, and first receives what it missed. CaughtUp marks where live events
start. On Reset, fetch everything again. An event named \`problem\` says why the stream ends.`,
      parameters: [
        parameter('after', 'query', 'A cursor. The stream starts with the events after it.'),
        parameter('chatId', 'query', 'Limits the stream to the events of this chat, which may be a public channel.'),
        parameter('streamToken', 'query', 'For an EventSource, which cannot send headers: see createStreamToken.'),
        parameter('Last-Event-ID', 'header', 'Takes precedence over `after`.'),
      ],
      responses: {
        200: { description: 'The stream.', content: { 'text/event-stream': { schema: referTo('Event') } } },
        ...printFailures([400, 401, 403, 404, 406, 429]),
      },
      security: [...signedIn, { streamToken: [] }],
    },
  },
  '/api/upload': {
    post: {
      operationId: 'uploadFiles',
      tags: ['Files'],
      summary: 'Upload files',
      description: `1 to 10 files, in fields of any name. If one of them is refused, none is saved. A file that is neither sent in a
message nor used as an avatar is deleted after 24 hours. \`/api/upload/tus\` takes resumable uploads
(https://tus.io).`,
      requestBody: {
        required: true,
        content: {
          'multipart/form-data': {
            schema: {
              type: 'object',
              required: ['file'],
              properties: { file: { type: 'array', items: { type: 'string', contentEncoding: 'binary' } } },
            },
          },
        },
      },
      responses: {
        201: {
          description: 'The files, in the order of the request.',
          content: {
            'application/json': {
              schema: {
                type: 'object',
                required: ['files'],
                properties: { files: { type: 'array', items: uploaded } },
              },
            },
          },
        },
        ...printFailures([400, 401, 413, 429]),
      },
    },
  },
  '/api/import': {
    post: {
      operationId: 'importHistory',
      tags: ['Chats'],
      summary: 'Import users, chats and messages',
      description: `JSON lines, for an API key with USERS_WRITE, CHATS_WRITE and MESSAGES_WRITE, or with ADMIN. The answer comes after the last
line, and says which lines were refused. Lines that are sent again change nothing.`,
      requestBody: {
        required: true,
        content: { 'application/x-ndjson': { schema: { ...text, description: 'One object per line.' } } },
      },
      responses: {
        200: { description: 'The report.', content: { 'application/json': { schema: importReport } } },
        ...printFailures([400, 401, 403, 415, 429]),
      },
      security: [{ token: [] }],
    },
  },
  '/api/hooks/{token}': {
    post: {
      operationId: 'postToIncomingWebhook',
      tags: ['Messages'],
      summary: 'Post to a chat through an incoming webhook',
      description: `Accepts the same requests as the incoming webhooks of Discord and Slack, and sends the same responses, including refusals. The token in the URL
is the only credential: createIncomingWebhook returns the URL.`,
      parameters: [
        parameter('token', 'path', 'As in the URL.'),
        parameter('wait', 'query', "If `true`, the response is the message, in Discord's format."),
      ],
      requestBody: { required: true, content: { 'application/json': { schema: hookPayload } } },
      responses: {
        200: {
          description: 'The message, or `ok` for a request in Slack’s format.',
          content: {
            'application/json': { schema: { type: 'object', additionalProperties: true } },
            'text/plain': { schema: text },
          },
        },
        204: { description: 'Posted.' },
        ...Object.fromEntries(
          Object.entries({
            400: 'The payload has no text, or is not valid.',
            403: 'The bot may not write here.',
            404: 'There is no such incoming webhook.',
            429: 'Too many messages: see `retry-after`.',
          }).map(([status, description]) => [status, { description }]),
        ),
      },
      security: [],
    },
  },
  '/files/{fileId}/{name}': {
    get: {
      operationId: 'downloadFile',
      tags: ['Files'],
      summary: 'Download a file',
      description:
        'Follow `url` or `thumbnailUrl` of a file: the link is signed, and needs no token. Supports Range requests.',
      parameters: [
        parameter('fileId', 'path', 'As in the link.'),
        parameter('name', 'path', 'As in the link.'),
        ...['expires', 'viewer', 'session', 'signature'].map((name) => parameter(name, 'query', 'As in the link.')),
      ],
      responses: {
        200: bytes('The bytes.'),
        206: bytes('A range of the bytes.'),
        302: { description: 'The bytes are at the URL in `location`.' },
        ...printFailures([403, 404]),
      },
      security: [],
    },
  },
  '/api/export': {
    post: {
      operationId: 'exportAccount',
      tags: ['Account'],
      summary: "Export the account's data as a zip",
      requestBody: {
        required: false,
        content: {
          'application/json': {
            schema: { type: 'object', properties: { password: { type: ['string', 'null'] } } },
          },
        },
      },
      responses: {
        200: {
          description: 'The zip.',
          content: { 'application/zip': { schema: { type: 'string', contentEncoding: 'binary' } } },
        },
        ...printFailures([400, 401, 403, 409, 429]),
      },
    },
  },
};
