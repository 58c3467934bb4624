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
    id: { ...text, description: 'For `fileIds` of a message, or as an avatar.' },
    name: text,
    contentType: text,
    size: { type: 'integer', description: 'In bytes.' },
    url: { ...text, description: "A signed link, relative to the server's address." },
    note: { ...text, description: 'What the server could not do for the file.' },
  },
};

/** The operations under `/api` that run no document of the table. */
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
        parameter('after', 'query', 'A cursor: the events after it come first.'),
        parameter('chatId', 'query', 'Only the events of this chat, which may be a public channel.'),
        parameter('streamToken', 'query', 'For an EventSource, which cannot send headers: see createStreamToken.'),
        parameter('Last-Event-ID', 'header', 'Takes precedence over `after`.'),
      ],
      responses: {
        200: { description: 'The stream.', content: { 'text/event-stream': { schema: referTo('Event') } } },
        ...printFailures([400, 401, 403, 404, 406, 429]),
      },
      security: [{ token: [] }, { streamToken: [] }],
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
          description: 'The files, in their order.',
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
        206: bytes('A range of them.'),
        302: { description: 'They are at `location`.' },
        403: { description: 'The link is not valid, or has expired: fetch it again.' },
        404: { description: 'There is no such file.' },
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
