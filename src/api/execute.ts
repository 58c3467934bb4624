import { execute, type ExecutionResult, type GraphQLError, type GraphQLSchema } from 'graphql';
import type { Context } from './context.ts';
import type { PreparedOperation } from './document.ts';
import { mentionsEventCursor } from './request.ts';

/** What a query or mutation is executed with. */
export type Execution = {
  schema: GraphQLSchema;
  operation: PreparedOperation;
  variables: Record<string, unknown> | null;
  context: Context;
  /** What a client may learn of an error; see fault.ts. */
  mask: (error: unknown) => GraphQLError;
};

/** Executes a query or a mutation outside Yoga, with the same rules: the cursor is read first, errors are masked. */
export async function executeOperation({
  schema,
  operation,
  variables,
  context,
  mask,
}: Execution): Promise<ExecutionResult> {
  if (mentionsEventCursor(operation.document)) context.eventCursor = await context.readCursor();
  const result = await execute({
    schema,
    document: operation.document,
    operationName: operation.operation.name?.value,
    variableValues: variables ?? {},
    contextValue: context,
  });
  return result.errors === undefined ? result : { ...result, errors: result.errors.map((error) => mask(error)) };
}
