import { GraphQLError, OperationTypeNode, type ExecutionResult, type GraphQLSchema } from 'graphql';
import { callerKey } from '../core/asker.ts';
import { requestScope } from '../core/request-scope.ts';
import { inSpan } from '../core/trace.ts';
import { RateLimited } from '../errors.ts';
import type { Context } from './context.ts';
import { mentionsField, type PreparedOperation } from './document.ts';
import { judgeScopes } from './scope.ts';
import { judgeSize } from './measure.ts';
import { operationNameOf } from './operation-name.ts';
import { runOperation } from './plan/run.ts';

/** The inputs for executing a query or mutation. */
export type Execution = {
  schema: GraphQLSchema;
  operation: PreparedOperation;
  variables: Record<string, unknown> | null;
  context: Context;
};

/**
 * Executes a query or a mutation, regardless of the transport by which it arrived. Measures the operation first, and
 * refuses an operation that is too large without executing any part of it. If the operation may select `eventCursor`,
 * reads the log's cursor before any data, so that `events(after:)` continues without a gap.
 */
export async function executeOperation(
  execution: Execution & {
    /** Removes from an error what clients may not see; see fault.ts. */
    mask: (error: unknown) => GraphQLError;
  },
): Promise<ExecutionResult> {
  const result = await executeUnmasked(execution);
  return result.errors === undefined
    ? result
    : { ...result, errors: result.errors.map((error) => execution.mask(error)) };
}

/** Executes a query or a mutation without masking errors, for Yoga, which masks them itself. */
export async function executeUnmasked(execution: Execution): Promise<ExecutionResult> {
  const startedAt = performance.now();
  const operation = operationNameOf(execution.operation);
  const scope = requestScope.getStore();
  if (scope !== undefined) scope.operation = operation;
  const result = await inSpan(operation, () => executeMeasured(execution));
  const seconds = (performance.now() - startedAt) / 1000;
  execution.context.metrics.observe('operationSeconds', seconds, { operation });
  return result;
}

async function executeMeasured({ schema, operation, variables, context }: Execution): Promise<ExecutionResult> {
  const { refusal, measure } = judgeSize(schema, operation, variables);
  context.usage.cost = measure?.complexity ?? null;
  const unscoped = refusal ?? judgeScopes(schema, operation, context);
  if (unscoped !== null) return { errors: [unscoped] };
  try {
    const size = { person: senderOf(context), bytes: measure?.bytes ?? 0 };
    return await context.largeOperations.run(size, async (turns) => {
      // A mutation takes a turn only after each of its changes (schema.ts), because a change may have to wait, for
      // example for a lock.
      if (operation.operation.operation === OperationTypeNode.QUERY) await turns.take();
      else context.renderTurns = turns;
      if (mentionsField(operation.document, 'eventCursor')) context.eventCursor = await context.readCursor();
      return runOperation({ schema, operation, variables, context });
    });
  } catch (error) {
    if (!(error instanceof RateLimited)) throw error;
    return { errors: [new GraphQLError(error.message, { originalError: error })] };
  }
}

/** Returns the key of the person who sends an operation, or the network of a sender that is not signed in. */
function senderOf({ asker, address }: Context): string {
  try {
    const caller = asker();
    return caller === null ? address : callerKey(caller);
  } catch {
    return address;
  }
}
