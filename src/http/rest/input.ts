import {
  coerceInputValue,
  getNamedType,
  getNullableType,
  isEnumType,
  isListType,
  type GraphQLInputType,
  type GraphQLNamedType,
} from 'graphql';
import { isRecord } from '../../core/json.ts';
import { InvalidInput, maxFieldErrors, type FieldError } from '../../errors.ts';
import type { CompiledRoute, Input } from './compiled-route.ts';

/** The data that a request carries: the parameters in its path (percent-encoded), its query string and its body. */
export type Sent = { parameters: ReadonlyMap<string, string>; query: URLSearchParams; body: unknown };

/**
 * Reads the variables of a route's document. Throws InvalidInput for parameters that are missing, unknown or of the
 * wrong type. The error uses the names of the route's parameters.
 */
export function readVariables({ route, inputs }: CompiledRoute, sent: Sent): Record<string, unknown> {
  const errors: FieldError[] = [];
  const given = new Map<string, unknown>([
    ...readPath(sent.parameters, errors),
    ...readQuery(inputs, sent.query, errors),
    ...readBody({ inputs, aliases: route.aliases ?? {} }, sent.body, errors),
  ]);
  const variables: Record<string, unknown> = {};
  for (const input of inputs) {
    const value = given.get(input.name);
    if (value === undefined) {
      if (input.isRequired) errors.push({ path: [input.name], code: 'REQUIRED', message: 'is required' });
      continue;
    }
    variables[input.name] = readValue(input, value, errors);
  }
  const { limit } = variables;
  if (route.maxLimit !== undefined && typeof limit === 'number' && limit > route.maxLimit) {
    errors.push({ path: ['limit'], code: 'NOT_ALLOWED', message: `must be from 0 to ${route.maxLimit}` });
  }
  if (errors.length > 0) throw new InvalidInput(errors);
  return variables;
}

function readPath(parameters: Sent['parameters'], errors: FieldError[]): [string, unknown][] {
  return [...parameters].flatMap(([name, encoded]): [string, unknown][] => {
    try {
      return [[name, decodeURIComponent(encoded)]];
    } catch {
      errors.push({ path: [name], code: 'MALFORMED', message: 'is not percent-encoded UTF-8' });
      return [[name, '']];
    }
  });
}

function readQuery(inputs: readonly Input[], query: URLSearchParams, errors: FieldError[]): [string, unknown][] {
  return [...new Set(query.keys())].flatMap((name): [string, unknown][] => {
    const input = inputs.find((each) => each.name === name && each.place === 'query');
    const values = query.getAll(name);
    if (input === undefined) {
      errors.push({ path: [shorten(name)], code: 'NOT_ALLOWED', message: 'is not a parameter of this route' });
    } else if (values.length > 1) {
      errors.push({ path: [name], code: 'DUPLICATE', message: 'must be given once' });
    } else return [[name, parseText(values[0] ?? '', input.type)]];
    return [];
  });
}

function readBody(
  { inputs, aliases }: { inputs: readonly Input[]; aliases: NonNullable<CompiledRoute['route']['aliases']> },
  body: unknown,
  errors: FieldError[],
): [string, unknown][] {
  if (body === undefined) return [];
  if (!isRecord(body)) {
    errors.push({ path: [], code: 'MALFORMED', message: 'the body must be a JSON object' });
    return [];
  }
  return Object.entries(body).flatMap(([name, value]): [string, unknown][] => {
    const alias = Object.hasOwn(aliases, name) ? aliases[name] : undefined;
    if (alias !== undefined && !Object.hasOwn(body, alias.variable)) return [[alias.variable, alias.read(value)]];
    if (inputs.some((each) => each.name === name && each.place === 'body')) return [[name, value]];
    const message = alias === undefined ? 'is not a property of this body' : `cannot go with \`${alias.variable}\``;
    errors.push({ path: [shorten(name)], code: 'NOT_ALLOWED', message });
    return [];
  });
}

/** Parses a value in a query string. A value of the wrong type stays a string, and is refused later. */
function parseText(text: string, type: GraphQLInputType): unknown {
  const name = String(getNullableType(type));
  if (name === 'Int' && /^-?\d{1,10}$/.test(text)) return Number(text);
  if (name === 'Boolean' && (text === 'true' || text === 'false')) return text === 'true';
  return text;
}

function readValue({ name, type }: Input, given: unknown, errors: FieldError[]): unknown {
  const value = inUpperCase(given, type);
  try {
    coerceInputValue(value, type, (path, _, { message }) => {
      const complaint = describeValues(getNamedType(type)) ?? message;
      errors.push({ path: [name, ...path.map(String)], code: 'MALFORMED', message: complaint });
      // A long list may have an error in each entry, and creating all of these errors would take seconds.
      if (errors.length >= maxFieldErrors) throw new EnoughErrors();
    });
  } catch (error) {
    if (!(error instanceof EnoughErrors)) throw error;
  }
  return value;
}

/** Returns a message that lists the values of an enum, phrased like the other errors, or null for other types. */
function describeValues(type: GraphQLNamedType): string | null {
  if (!isEnumType(type)) return null;
  const values = type.getValues().map(({ name }) => name);
  return `must be ${values.length > 1 ? 'one of ' : ''}${values.join(', ')}`;
}

class EnoughErrors extends Error {}

/**
 * Converts enum values to upper case. Clients may send them in lower case, as the original API did for the types of
 * chats.
 */
function inUpperCase(value: unknown, type: GraphQLInputType): unknown {
  const nullable = getNullableType(type);
  if (isListType(nullable))
    return Array.isArray(value) ? value.map((each) => inUpperCase(each, nullable.ofType)) : value;
  return isEnumType(nullable) && typeof value === 'string' ? value.toUpperCase() : value;
}

function shorten(name: string): string {
  return name.length > 64 ? `${name.slice(0, 64)}…` : name;
}
