import { isInterfaceType, printSchema, type GraphQLSchema } from 'graphql';
import { builder } from './builder.ts';
import type { Context } from './context.ts';
import { limitMutation, limitQueries } from './limit.ts';
import { introspectionOf } from './introspection.ts';
import { findUnsizedFields } from './measure.ts';
import { findNodeLoader } from './node.ts';

/**
 * Builds the schema of all types registered on the builder. Throws when a type implements Node without a rule about
 * who may load it (`node` would not find it), or when a field does not declare its size (operations with it could not
 * be measured).
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
  wrapMutations(schema);
  limitQueries(schema.getQueryType());
  // Reads the schema now, so that no request has to wait for it.
  introspectionOf(schema);
  return schema;
}

/** Prints the API in the schema definition language, as schema.graphql stores it. */
export function printApi(schema: GraphQLSchema): string {
  return `${printSchema(schema)}\n`;
}

/**
 * Counts each mutation against its limits. Afterwards it clears the loaders: rows read before a mutation may be stale,
 * so what is selected from its result is read again. If the result may be large, it is rendered in turns.
 */
function wrapMutations(schema: GraphQLSchema): void {
  for (const [name, field] of Object.entries(schema.getMutationType()?.getFields() ?? {})) {
    if (field.resolve === undefined) continue;
    const resolve = limitMutation(name, field.resolve);
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
