import {
  GraphQLError,
  isObjectType,
  type GraphQLAbstractType,
  type GraphQLObjectType,
  type GraphQLSchema,
} from 'graphql';
import { inspect } from 'graphql/jsutils/inspect.js';
import type { FieldPlan } from './plan.ts';

/**
 * Returns the object type of a value of an interface or a union, given the name that the type's resolver returned. If
 * the name is not that of a possible type, throws the same error as graphql-js.
 */
export function memberOf(
  type: GraphQLAbstractType,
  { schema, field, name, found }: { schema: GraphQLSchema; field: FieldPlan; name: unknown; found: unknown },
): GraphQLObjectType {
  const member = typeof name === 'string' ? schema.getType(name) : undefined;
  if (isObjectType(member) && schema.isSubType(type, member)) return member;
  throw new GraphQLError(describe(type, { field, name, found }), { nodes: field.nodes });
}

function describe(
  { name: type }: GraphQLAbstractType,
  { field, name, found }: { field: FieldPlan; name: unknown; found: unknown },
): string {
  if (typeof name === 'string') return `Runtime Object type "${name}" is not a possible type for "${type}".`;
  const must = `Abstract type "${type}" must resolve to an Object type at runtime for field "${nameOf(field)}"`;
  if (name != null) return `${must} with value ${inspect(found)}, received "${inspect(name)}".`;
  return `${must}. Either the "${type}" type should provide a "resolveType" function or each possible type should provide an "isTypeOf" function.`;
}

/** Formats a field's name as `Type.field`, for error messages. */
export function nameOf({ parentType, definition }: FieldPlan): string {
  return `${parentType.name}.${definition.name}`;
}
