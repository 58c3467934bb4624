import {
  getNamedType,
  getNullableType,
  isAbstractType,
  isInterfaceType,
  isListType,
  isNonNullType,
  isObjectType,
  Kind,
  type FieldNode,
  type GraphQLField,
  type GraphQLObjectType,
  type GraphQLOutputType,
  type GraphQLSchema,
  type SelectionSetNode,
} from 'graphql';
import { isRecord } from '../../core/json.ts';
import { compileRoute, type CompiledRoute, type Input } from './compiled-route.ts';
import { problemKinds } from './problem.ts';
import type { Route } from './route.ts';
import { describe, referTo, type Fragments, type JsonSchema, type SchemaPrinter } from './schema-printer.ts';

/** The maximum page size of most lists. */
const maxLimit = 100;

/** The field in a route's document whose value becomes the response: the last field in `result`, or the root. */
type Place = {
  field: GraphQLField<unknown, unknown> | null;
  type: GraphQLOutputType;
  set: SelectionSetNode | undefined;
  /**
   * Whether this field or a field above it in `result` may be null. The operation then lists the status 404, unless
   * `result` begins with `viewer`.
   */
  mayBeMissing: boolean;
};

/** Converts the rows of the route table to OpenAPI operations. */
export class OperationPrinter {
  readonly #schema: GraphQLSchema;
  readonly #printer: SchemaPrinter;

  constructor(schema: GraphQLSchema, printer: SchemaPrinter) {
    this.#schema = schema;
    this.#printer = printer;
  }

  /** Returns the OpenAPI operation for a route. */
  print(route: Route): JsonSchema {
    const compiled = compileRoute(this.#schema, route);
    const fragments = fragmentsOf(compiled);
    const place = this.#findPlace(compiled);
    const body = compiled.inputs.filter((input) => input.place === 'body');
    const parameters = compiled.inputs.filter((input) => input.place !== 'body');
    return {
      operationId: route.id,
      tags: [route.tag],
      summary: route.summary,
      ...describe({}, descriptionOf(route, place)),
      ...(parameters.length > 0 && { parameters: parameters.map((input) => this.#printParameter(route, input)) }),
      ...(body.length > 0 && { requestBody: this.#printBody(route, body) }),
      responses: {
        ...this.#printSuccess(route, place, fragments),
        ...printFailures(statusesOfFailure(route, place, compiled.inputs, this.#schema)),
      },
      ...(route.isOpen === true && { security: [] }),
    };
  }

  #printParameter(route: Route, { name, place, type, isRequired, defaultValue, description }: Input): JsonSchema {
    return {
      name,
      in: place,
      required: isRequired,
      ...describe({}, describeParameter(name, route) ?? description),
      schema: {
        ...this.#printer.ofParameter(type),
        ...(name === 'limit' && { minimum: 0, maximum: route.maxLimit ?? maxLimit }),
        ...(defaultValue !== undefined && { default: defaultValue }),
      },
    };
  }

  #printBody(route: Route, inputs: readonly Input[]): JsonSchema {
    const aliases = Object.entries(route.aliases ?? {});
    const isNamedOtherwise = new Set(aliases.map(([, { variable }]) => variable));
    const required = inputs.filter(({ isRequired, name }) => isRequired && !isNamedOtherwise.has(name));
    const properties = Object.fromEntries([
      ...inputs.map(({ name, type, description, defaultValue }) => [
        name,
        {
          ...describe(this.#printer.ofInput(type), description),
          ...(defaultValue !== undefined && { default: defaultValue }),
        },
      ]),
      ...aliases.map(([name, { description, schema }]) => [name, { ...schema, description }]),
    ]);
    return {
      required: inputs.some(({ isRequired }) => isRequired),
      content: {
        'application/json': {
          schema: {
            type: 'object',
            ...(required.length > 0 && { required: required.map(({ name }) => name) }),
            properties,
            additionalProperties: false,
          },
        },
      },
    };
  }

  /** Returns the successful responses, keyed by status. */
  #printSuccess(route: Route, place: Place, fragments: Fragments): JsonSchema {
    if (route.status === 204) return { 204: { description: 'Done.' } };
    const named = getNamedType(place.type);
    if (isAbstractType(named)) {
      return Object.fromEntries(
        this.#membersOf(place).map(({ type, set }) => [
          String(route.statuses?.[type.name] ?? route.status ?? 200),
          answer(type.description, lifted(route, this.#printer.ofSelection(set, type, fragments))),
        ]),
      );
    }
    return { [String(route.status ?? 200)]: answer(place.field?.description, this.#printBodyOf(place, fragments)) };
  }

  #printBodyOf({ type, set }: Place, fragments: Fragments): JsonSchema {
    const present = getNullableType(type);
    if (isListType(present)) return pageOf(this.#printer.ofOutput(present.ofType, set, fragments));
    const edges = set === undefined ? undefined : findField(set, 'edges');
    if (edges === undefined || !isObjectType(present)) {
      return this.#printer.ofPresent(type, set, fragments);
    }
    const edge = getNamedType(present.getFields()['edges']?.type);
    const node = edges.selectionSet && findField(edges.selectionSet, 'node');
    if (!isObjectType(edge) || node === undefined) throw new Error(`${present.name} is not a connection`);
    return pageOf(this.#printer.ofOutput(edge.getFields()['node']?.type ?? edge, node.selectionSet, fragments));
  }

  /**
   * Lists the members of a union or interface that represent success, with the fields that the document selects from
   * each.
   */
  #membersOf({ set }: Place): { type: GraphQLObjectType; set: SelectionSetNode }[] {
    return (set?.selections ?? []).flatMap((selection) => {
      if (selection.kind !== Kind.INLINE_FRAGMENT || selection.typeCondition === undefined) return [];
      const type = this.#schema.getType(selection.typeCondition.name.value);
      return isObjectType(type) ? [{ type, set: selection.selectionSet }] : [];
    });
  }

  #findPlace({ route, operation }: CompiledRoute): Place {
    const root = this.#schema.getRootType(operation.operation.operation);
    if (root == null) throw new Error('the schema lacks a root type');
    let place: Place = { field: null, type: root, set: operation.operation.selectionSet, mayBeMissing: false };
    for (const name of route.result === '' ? [] : route.result.split('.')) {
      const parent = getNamedType(place.type);
      const node = place.set && findField(place.set, name);
      const field = isObjectType(parent) ? parent.getFields()[name] : undefined;
      if (node === undefined || field === undefined) throw new Error(`${route.id}: there is no ${name} in the data`);
      const mayBeMissing = place.mayBeMissing || !isNonNullType(field.type);
      place = { field, type: field.type, set: node.selectionSet, mayBeMissing };
    }
    return place;
  }
}

/** Applies to a schema the same changes that answer.ts applies to the object. */
function lifted({ lift }: Route, schema: JsonSchema): JsonSchema {
  const { properties } = schema;
  if (lift === undefined || !isRecord(properties)) return schema;
  const moved = { ...properties };
  for (const [outer, inner] of Object.entries(lift)) {
    const holder = moved[outer];
    if (!isRecord(holder) || !isRecord(holder['properties'])) continue;
    delete moved[outer];
    moved[inner] = holder['properties'][inner];
  }
  return { ...schema, required: Object.keys(moved), properties: moved };
}

function descriptionOf({ isReversed }: Route, { field }: Place): string | null {
  // The description does not apply to a reversed list, whose pages are in a different order.
  return isReversed === true ? null : (field?.description ?? null);
}

function describeParameter(name: string, route: Route): string | null {
  if (name === 'limit')
    return `The maximum number of entries on a page, up to ${route.maxLimit ?? maxLimit}; 50 by default.`;
  return name === 'cursor' ? 'The `nextCursor` of the page before this one.' : null;
}

function fragmentsOf({ operation: { document } }: CompiledRoute): Fragments {
  return new Map(
    document.definitions.flatMap((each) =>
      each.kind === Kind.FRAGMENT_DEFINITION ? [[each.name.value, each] as const] : [],
    ),
  );
}

function findField({ selections }: SelectionSetNode, name: string): FieldNode | undefined {
  return selections.find((each): each is FieldNode => each.kind === Kind.FIELD && each.name.value === name);
}

function pageOf(items: JsonSchema): JsonSchema {
  const nextCursor = { type: ['string', 'null'], description: 'The cursor of the next page; null on the last page.' };
  return {
    type: 'object',
    required: ['items', 'nextCursor'],
    properties: { items: { type: 'array', items }, nextCursor },
  };
}

function answer(description: string | null | undefined, schema: JsonSchema): JsonSchema {
  return { description: description ?? 'Success.', content: { 'application/json': { schema } } };
}

/** Returns the statuses of the problems that a route's operation lists; `default` covers all others. */
function statusesOfFailure(route: Route, place: Place, inputs: readonly Input[], schema: GraphQLSchema): number[] {
  const statuses = new Set<number>([429]);
  if (inputs.length > 0) statuses.add(400);
  if (route.isOpen !== true) statuses.add(401);
  const named = getNamedType(place.type);
  if (place.mayBeMissing && !route.result.startsWith('viewer')) statuses.add(404);
  if (isAbstractType(named) && !isInterfaceType(named)) {
    for (const { name } of schema.getPossibleTypes(named)) {
      const code = name.replaceAll(/(?<=[a-z])(?=[A-Z])/g, '_').toUpperCase();
      if (!(code in problemKinds)) continue;
      const { status } = problemKinds[code as keyof typeof problemKinds];
      statuses.add(code === 'INVALID_CREDENTIALS' && route.isOpen === true ? 401 : status);
    }
  }
  return [...statuses].toSorted((a, b) => a - b);
}

/**
 * Returns the responses that describe failures with these statuses. The default response is the same, because other
 * failures, such as a server fault, have the same form.
 */
export function printFailures(statuses: readonly number[]): JsonSchema {
  const failure = { $ref: '#/components/responses/Problem' };
  return Object.fromEntries([...statuses.map((status) => [String(status), failure]), ['default', failure]]);
}

/** The schema of a problem, for `components`. */
export const problemSchema: JsonSchema = {
  type: 'object',
  description: 'Why a request failed (RFC 9457).',
  required: ['type', 'title', 'status', 'detail', 'code'],
  properties: {
    type: { type: 'string', format: 'uri' },
    title: { type: 'string' },
    status: { type: 'integer' },
    detail: { type: 'string', description: 'What is wrong with this request, in English.' },
    code: { type: 'string', enum: Object.keys(problemKinds) },
    fields: {
      type: 'array',
      description: 'With INVALID_INPUT: the parameters that are wrong, and what is wrong with each.',
      items: {
        type: 'object',
        required: ['path', 'code', 'message'],
        properties: {
          path: { type: 'array', items: { type: 'string' } },
          code: referTo('FieldErrorCode'),
          message: { type: 'string' },
        },
      },
    },
    taken: {
      type: 'array',
      description: 'With CONFLICT: the parameters whose values are already in use.',
      items: { type: 'string' },
    },
    until: {
      type: 'string',
      format: 'date-time',
      description: 'With FORBIDDEN: when the restriction ends, if it is temporary.',
    },
    reason: { type: 'string', description: 'With FORBIDDEN: the reason that was given for the suspension or the ban.' },
    retryAfterSeconds: { type: 'integer', description: 'With RATE_LIMITED.' },
    limit: { type: 'string', description: 'With RATE_LIMITED: the limit that was reached.' },
    count: { type: 'integer', description: 'With RATE_LIMITED: how many requests are allowed in `windowSeconds`.' },
    windowSeconds: { type: 'integer' },
  },
};
