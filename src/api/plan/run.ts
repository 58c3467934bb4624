import { execute, getVariableValues, type ExecutionResult, type GraphQLSchema } from 'graphql';
import type { PreparedOperation } from '../document.ts';
import { maxVariableErrors } from '../variable-size.ts';
import { PlanExecution } from './execution.ts';
import { Plans } from './plans.ts';

/** The plans of this process. */
const plans = new Plans();

/** An operation of a valid document, and what to execute it with. */
export type Run = {
  schema: GraphQLSchema;
  operation: PreparedOperation;
  variables: Readonly<Record<string, unknown>> | null;
  context: unknown;
  rootValue?: unknown;
};

/**
 * Executes an operation by its compiled plan, or by graphql-js where there can be none (plan/plans.ts). Either way the
 * data is the same, and so are the errors, except for their order and for which of several errors is reported where they
 * set the same place to null. Never rejects.
 */
export async function runOperation(run: Run): Promise<ExecutionResult> {
  const { schema, operation, variables, context, rootValue } = run;
  const read = getVariableValues(schema, operation.operation.variableDefinitions ?? [], variables ?? {}, {
    maxErrors: maxVariableErrors,
  });
  if (read.coerced === undefined) return { errors: read.errors };
  const plan = plans.find(schema, operation, read.coerced);
  if (plan === null) return runPlainly(run);
  return new PlanExecution(plan, { rootValue, context, variables: read.coerced }).run();
}

/** Executes an operation by graphql-js. */
async function runPlainly({ schema, operation, variables, context, rootValue }: Run): Promise<ExecutionResult> {
  return execute({
    schema,
    document: operation.document,
    operationName: operation.operation.name?.value,
    variableValues: variables,
    contextValue: context,
    rootValue,
    options: { maxCoercionErrors: maxVariableErrors },
  });
}
