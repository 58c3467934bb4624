import { complexityFromQuery } from '@pothos/plugin-complexity';
import { GraphQLError, Kind, type DocumentNode, type GraphQLSchema, type OperationDefinitionNode } from 'graphql';

/**
 * What one operation may ask for. Complexity counts each field once, times the size of each page it stands in; the
 * limits leave room for a client's largest sensible query and stop one that multiplies pages by pages.
 */
export const queryLimits = { depth: 15, breadth: 300, complexity: 30_000 };

/** `measure` is what is over the limit. */
export function tooLarge(measure: string): GraphQLError {
  return new GraphQLError(`The operation is too large: its ${measure.toLowerCase()} is over the limit.`, {
    extensions: { code: 'BAD_REQUEST' },
  });
}

/**
 * The refusal of a subscription that asks for too much of each event, or null. It is measured once, when it is asked
 * for: to do it again for each event was 8 % of a replay (bench:delivery). The variables are known to be good.
 */
export function refuseTooLarge(
  schema: GraphQLSchema,
  { document, operation }: { document: DocumentNode; operation: OperationDefinitionNode },
  variables: Record<string, unknown>,
): GraphQLError | null {
  const fragments = document.definitions.filter(({ kind }) => kind === Kind.FRAGMENT_DEFINITION);
  const asked: DocumentNode = { kind: Kind.DOCUMENT, definitions: [operation, ...fragments] };
  const measured = complexityFromQuery(asked, { schema, variables });
  const over = (['depth', 'breadth', 'complexity'] as const).find((name) => measured[name] > queryLimits[name]);
  return over === undefined ? null : tooLarge(over);
}
