import SchemaBuilder from '@pothos/core';
import ComplexityPlugin from '@pothos/plugin-complexity';
import ErrorsPlugin from '@pothos/plugin-errors';
import PrismaPlugin from '@pothos/plugin-prisma';
import RelayPlugin from '@pothos/plugin-relay';
import { GraphQLError } from 'graphql';
import type PrismaTypes from '../postgres/generated/pothos.ts';
import { getDatamodel } from '../postgres/generated/pothos.ts';
import { InvalidInput } from '../errors.ts';
import type { Context } from './context.ts';
import { encodeId, parseId } from '../core/id.ts';
import { parseDateTime, printDateTime } from '../core/date-time.ts';
import { isRecord } from '../core/json.ts';
import { Upload } from '../file/upload-value.ts';
import { asciiSize } from './field-size.ts';
import { maxCursorLength } from '../postgres/name-page.ts';

const cursorOptions = { extensions: asciiSize(maxCursorLength) };

/** Builds the schema. Each noun has a file that registers the noun's types here. */
export const builder = new SchemaBuilder<{
  Context: Context;
  PrismaTypes: PrismaTypes;
  DefaultFieldNullability: false;
  DefaultEdgesNullability: { list: false; items: false };
  DefaultNodeNullability: false;
  Scalars: {
    ID: { Input: string; Output: string };
    DateTime: { Input: Date; Output: Date };
    JSON: { Input: Record<string, unknown>; Output: unknown };
    Upload: { Input: Upload; Output: never };
  };
}>({
  plugins: [ErrorsPlugin, RelayPlugin, PrismaPlugin, ComplexityPlugin],
  defaultFieldNullability: false,
  prisma: {
    client: (context) => context.db.prisma,
    dmmf: getDatamodel(),
    filterConnectionTotalCount: true,
  },
  errors: {
    directResult: true,
    defaultUnionOptions: {
      name: ({ fieldName }) => `${fieldName.slice(0, 1).toUpperCase()}${fieldName.slice(1)}Result`,
    },
  },
  relay: {
    clientMutationId: 'omit',
    // node.graphql.ts replaces these two fields, because they would load any object for any asker.
    nodeQueryOptions: false,
    nodesQueryOptions: false,
    cursorType: 'String',
    cursorFieldOptions: cursorOptions,
    startCursorFieldOptions: cursorOptions,
    endCursorFieldOptions: cursorOptions,
    // The complexity of the connection already includes the size of its page.
    edgesFieldOptions: { nullable: { list: false, items: false }, complexity: { field: 1, multiplier: 1 } },
    nodeFieldOptions: { nullable: false },
    encodeGlobalID: (type, key) => encodeId(type, key),
    decodeGlobalID: (id) => {
      const parsed = parseId(id);
      if (parsed === null) throw new InvalidInput([{ path: ['id'], code: 'MALFORMED', message: 'is not an id' }]);
      return { typename: parsed.type, id: parsed.key };
    },
  },
  // The plugin only collects the `complexity` of each field. measure.ts measures whole operations before they are
  // executed.
  complexity: { defaultComplexity: 1, disabled: true },
});

builder.queryType({});
builder.mutationType({});
builder.subscriptionType({});

builder.scalarType('DateTime', {
  description:
    'A point in time in the format of RFC 3339. Responses use UTC with milliseconds, e.g. 2026-11-22T10:29:00.000Z.',
  specifiedByURL: 'https://www.rfc-editor.org/rfc/rfc3339#section-5.6',
  serialize: printDateTime,
  parseValue: (value) => {
    const instant = typeof value === 'string' ? parseDateTime(value) : null;
    if (instant === null) {
      throw new GraphQLError('A DateTime must be an instant with its offset from UTC, e.g. 2026-11-22T10:29:00.000Z.');
    }
    return instant;
  },
});

/** The maximum length of a JSON value that a client may send, in bytes. */
export const maxJsonBytes = 4_096;

builder.scalarType('JSON', {
  specifiedByURL: 'https://www.rfc-editor.org/rfc/rfc8259',
  description: 'Plain JSON. As an input, it must be an object of at most 4 KiB.',
  serialize: (value) => value,
  parseValue: (value) => {
    if (!isRecord(value) || Buffer.byteLength(JSON.stringify(value)) > maxJsonBytes) {
      throw new GraphQLError(`A JSON input must be an object of at most ${maxJsonBytes} bytes.`);
    }
    return value;
  },
});

builder.scalarType('Upload', {
  specifiedByURL: 'https://github.com/jaydenseric/graphql-multipart-request-spec',
  description: 'A file in a multipart request (GraphQL multipart request specification).',
  serialize: () => {
    throw new GraphQLError('An Upload is input only.');
  },
  parseValue: (value) => {
    if (value instanceof Upload) return value;
    throw new GraphQLError('An Upload must be a file of a multipart request; its variable must be null there.');
  },
});
