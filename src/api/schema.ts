import { wrapOrThrow } from '@pothos/plugin-errors';
import {
  isAbstractType,
  isInterfaceType,
  isObjectType,
  printSchema,
  type GraphQLField,
  type GraphQLObjectType,
  type GraphQLSchema,
} from 'graphql';
import { encodeId } from '../core/id.ts';
import { isRecord } from '../core/json.ts';
import { onceFor } from '../core/once.ts';
import { builder } from './builder.ts';
import type { Context } from './context.ts';
import { noteAdminAction } from './admin-action.ts';
import { limitMutation, limitQueries } from './limit.ts';
import { findUngoverned, refuseRootField } from './scope.ts';
import { introspectionOf } from './introspection.ts';
import { findUnsizedFields } from './measure.ts';
import { findNodeLoader } from './node.ts';
import { plainResolver } from './plan/plan.ts';

/**
 * Builds the schema from all types registered on the builder. Throws if a type implements Node but no loader is
 * registered for it, because `node` would not find its objects. Throws if a field does not declare its size, because
 * operations that select the field could not be measured. Throws if no table entry says which scope a program needs for
 * a field or a type.
 */
export function buildSchema(): GraphQLSchema {
  const schema = builder.toSchema();
  const node = schema.getType('Node');
  const nodes = isInterfaceType(node) ? schema.getPossibleTypes(node) : [];
  const missing = nodes.map(({ name }) => name).filter((name) => findNodeLoader(name) === undefined);
  if (missing.length > 0) throw new Error(`registerNode has not been called for ${missing.join(', ')}`);
  const unsized = findUnsizedFields(schema);
  if (unsized.length > 0)
    throw new Error(`Declare the sizes of these fields, as api/field-size.ts describes: ${unsized.join(', ')}`);
  const ungoverned = findUngoverned(schema);
  if (ungoverned.length > 0)
    throw new Error(`Say in api/scope-table.ts which scope a program needs for ${ungoverned.join(', ')}`);
  readIdsAtOnce(nodes);
  readConnectionsAtOnce(schema);
  wrapMutations(schema);
  limitQueries(schema.getQueryType());
  checkScopes(schema);
  // Reads the schema at startup, so that no request has to wait for it.
  introspectionOf(schema);
  return schema;
}

/**
 * Replaces the resolvers for ids, because the Relay plugin makes them asynchronous. A page of 50 messages with their
 * senders would need 100 promises for values that are already known.
 */
function readIdsAtOnce(nodes: readonly GraphQLObjectType[]): void {
  for (const type of nodes) {
    const { id } = type.getFields();
    const keyOf = readKeyResolver(type);
    if (id === undefined || keyOf === null) throw new Error(`${type.name} does not declare the key of its id`);
    id.resolve = (source) => encodeId(type.name, keyOf(source));
    Object.assign(id.extensions, { [plainResolver]: true });
  }
}

/** Removes the Relay plugin's resolvers from connections and edges, because they only return the properties. */
function readConnectionsAtOnce(schema: GraphQLSchema): void {
  for (const type of Object.values(schema.getTypeMap())) {
    if (!isObjectType(type) || !/(Connection|Edge)$/.test(type.name)) continue;
    for (const name of ['edges', 'pageInfo', 'node']) {
      const field = type.getFields()[name];
      if (field?.resolve === undefined) continue;
      // The Relay plugin's resolvers take no argument but the object.
      if (field.resolve.length > 1) throw new Error(`${type.name}.${name} must be a property of its object`);
      delete field.resolve;
    }
  }
}

/** Returns the function with which a type declares the key in its ids. */
function readKeyResolver({ extensions }: GraphQLObjectType): ((source: unknown) => string) | null {
  const options: unknown = extensions['pothosOptions'];
  const id = isRecord(options) ? options['id'] : null;
  const resolve: unknown = isRecord(id) ? id['resolve'] : null;
  return typeof resolve === 'function' ? (source) => String(Reflect.apply(resolve, null, [source])) : null;
}

/** Formats the API in the schema definition language, as in schema.graphql. */
export const printApi = onceFor((schema: GraphQLSchema): string => `${printSchema(schema)}\n`);

/**
 * Formats the members of each interface and union as JSON, `{"Event": ["AddToChat", …]}`. Apollo Client's InMemoryCache
 * accepts this as `possibleTypes`. Without it, a fragment on an interface matches nothing in that cache.
 */
export function printPossibleTypes(schema: GraphQLSchema): string {
  const abstract = Object.values(schema.getTypeMap()).filter(isAbstractType);
  const types = abstract.map((type) => [
    type.name,
    schema
      .getPossibleTypes(type)
      .map(({ name }) => name)
      .toSorted(),
  ]);
  return `${JSON.stringify(Object.fromEntries(types), null, 2)}\n`;
}

/**
 * Counts each mutation against its limits, and clears the loaders afterwards. Rows read before a mutation may be stale,
 * so the data selected from its result is read again. A result that may be large is rendered in turns.
 */
function wrapMutations(schema: GraphQLSchema): void {
  for (const [name, field] of Object.entries(schema.getMutationType()?.getFields() ?? {})) {
    if (field.resolve === undefined) continue;
    const resolve = noteAdminAction(name, limitMutation(name, field.resolve));
    field.resolve = async (source, args, context: Context, info) => {
      context.renderTurns?.end();
      try {
        return await resolve(source, args, context, info);
      } finally {
        await context.renderTurns?.take();
        context.loaders.clear();
      }
    };
  }
}

/**
 * Refuses a query or a mutation if the program lacks the scope for it, before the use counts against any limit. The
 * refusal is the Forbidden in the field's result union, if there is one, and otherwise a top-level error. For
 * subscriptions, see http/stream/operation.ts.
 */
function checkScopes(schema: GraphQLSchema): void {
  for (const root of ['Query', 'Mutation'] as const) {
    const type = root === 'Query' ? schema.getQueryType() : schema.getMutationType();
    for (const [name, field] of Object.entries(type?.getFields() ?? {})) {
      const { resolve } = field;
      if (resolve === undefined) continue;
      field.resolve = (source, args, context: Context, info) => {
        try {
          refuseRootField(context, root, name);
        } catch (error) {
          return wrapOrThrow(error, errorTypesOf(field), undefined);
        }
        return resolve(source, args, context, info);
      };
    }
  }
}

/** Returns the error types in a field's result union. */
function errorTypesOf({ extensions }: GraphQLField<unknown, Context>): (typeof Error)[] {
  const types = extensions['pothosErrors'];
  return Array.isArray(types) ? types : [];
}
