import { minifyIntrospection, outputIntrospectionFile } from '@gql.tada/internal';
import { introspectionFromSchema, type GraphQLSchema } from 'graphql';
import { printPossibleTypes } from '../src/api/schema.ts';

/**
 * Returns the parts of the schema that the client package contains (the types in src/client/generated), by file name.
 */
export function printClientSchema(schema: GraphQLSchema): ReadonlyMap<string, string> {
  const header = '/** Written by `npm run schema`. */\n';
  const possibleTypes = `export const possibleTypes: Record<string, string[]> = ${printPossibleTypes(schema).trim()};\n`;
  const introspection = minifyIntrospection(introspectionFromSchema(schema, { descriptions: false }));
  const types = outputIntrospectionFile(introspection, { fileType: '.d.ts', shouldPreprocess: true });
  // Drops the end of the output, which would make this the schema of every document in the app.
  const [type = ''] = types.split('\nimport * as gqlTada');
  return new Map([
    ['possible-types.ts', header + possibleTypes],
    ['introspection.ts', header + type],
  ]);
}
