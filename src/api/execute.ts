import { execute, type ExecutionResult, type GraphQLError, type GraphQLSchema } from 'graphql';
import type { Context } from './context.ts';
import { mentionsField, type PreparedOperation } from './document.ts';
import { refuseTooLarge } from './measure.ts';

/** What a query or mutation is executed with. */
export type Execution = {
  schema: GraphQLSchema;
  operation: PreparedOperation;
  variables: Record<string, unknown> | null;
  context: Context;
};

/**
 * Executes a query or a mutation, whichever way it came. It is measured first: of one that is too large nothing is
 * executed. The log's cursor is read before anything else, so that `events(after:)` goes on without a gap.
 */
export async function executeOperation(
  execution: Execution & {
    /** What a client may learn of an error; see fault.ts. */
    mask: (error: unknown) => GraphQLError;
  },
): Promise<ExecutionResult> {
  const result = await executeUnmasked(execution);
  return result.errors === undefined
    ? result
    : { ...result, errors: result.errors.map((error) => execution.mask(error)) };
}

/** The same, for Yoga, which masks errors itself. */
export async function executeUnmasked({ schema, operation, variables, context }: Execution): Promise<ExecutionResult> {
  const refusal = refuseTooLarge(schema, operation, variables);
  if (refusal !== null) return { errors: [refusal] };
  if (mentionsField(operation.document, 'eventCursor')) context.eventCursor = await context.readCursor();
  return execute({
    schema,
    document: operation.document,
    operationName: operation.operation.name?.value,
    variableValues: variables ?? {},
    contextValue: context,
  });
}
