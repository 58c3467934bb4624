import {
  getNamedType,
  isEnumType,
  isLeafType,
  isListType,
  isNonNullType,
  type GraphQLField,
  type GraphQLNamedType,
  type GraphQLOutputType,
} from 'graphql';
import { isRecord } from '../core/json.ts';

/**
 * The size that a field adds to an answer: its own `cost`, plus `items` times the size of everything that is selected
 * below the field.
 */
export type FieldSize = { cost: number; items: number };

/**
 * The maximum length of a value's JSON in bytes, by type. A String or JSON field declares its own maximum: `extensions:
 * textSize(maxLength)`.
 */
const scalarBytes: Readonly<Record<string, number>> = {
  Boolean: 'false'.length,
  Int: '-2147483648'.length,
  Float: '-2.2250738585072014e-308'.length,
  // The id of a `Member`, whose key has two parts, is the longest: 46 characters before base64url encoding.
  ID: 64 + '""'.length,
  DateTime: '"2026-11-22T10:29:00.000Z"'.length,
};

/**
 * Declares, in a field's `extensions`, that the field's text has at most `maxLength` characters (Unicode code points),
 * each of which takes up to 4 bytes of JSON.
 */
export function textSize(maxLength: number): { maxBytes: number } {
  return { maxBytes: 4 * maxLength };
}

/**
 * Declares, in a field's `extensions`, that the field's text has at most `maxLength` bytes, for example because it is
 * ASCII.
 */
export function asciiSize(maxLength: number): { maxBytes: number } {
  return { maxBytes: maxLength };
}

type Field = GraphQLField<unknown, unknown>;

const leafSizes = new WeakMap<Field, number>();

/** Returns the maximum length in bytes of the JSON for one value of a scalar or enum field, including a comma. */
export function leafBytes(field: Field): number {
  let bytes = leafSizes.get(field);
  if (bytes === undefined) leafSizes.set(field, (bytes = (readLeafBytes(field, getNamedType(field.type)) ?? 0) + 1));
  return bytes;
}

function readLeafBytes(field: Field, type: GraphQLNamedType): number | null {
  if (isEnumType(type)) return Math.max(...type.getValues().map(({ name }) => name.length)) + '""'.length;
  if (type.name !== 'String' && type.name !== 'JSON') return scalarBytes[type.name] ?? null;
  const maxBytes = field.extensions['maxBytes'];
  return typeof maxBytes === 'number' ? maxBytes + '""'.length : null;
}

/**
 * Returns the size that the field's `complexity` declares. If `complexity` is a function, it receives the arguments.
 */
export function sizeOf(field: Field, readArguments: () => Record<string, unknown>): FieldSize {
  const declared: unknown = field.extensions['complexity'];
  const size: unknown = typeof declared === 'function' ? declared(readArguments(), {}, field) : declared;
  if (typeof size === 'number') return { cost: size, items: 1 };
  const { field: cost, multiplier } = (size ?? {}) as { field?: number; multiplier?: number };
  return { cost: cost ?? 1, items: Math.max(0, multiplier ?? 1) };
}

/**
 * Returns whether the field declares its size: the maximum number of entries for a list, or the maximum length for a
 * text.
 */
export function hasDeclaredSize(field: Field): boolean {
  const type = getNamedType(field.type);
  if (isLeafType(type) && readLeafBytes(field, type) === null) return false;
  const options: unknown = field.extensions['pothosOptions'];
  return !isList(field.type) || (isRecord(options) && options['complexity'] !== undefined);
}

/** Returns whether a field returns a list, which may be nullable or non-null. */
export function isList(type: GraphQLOutputType): boolean {
  return isListType(type) || (isNonNullType(type) && isList(type.ofType));
}
