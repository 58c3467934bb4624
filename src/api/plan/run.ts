import { execute, getVariableValues, GraphQLError, type ExecutionResult, type GraphQLSchema } from 'graphql';
import type { Soon } from '../../core/soon.ts';
import type { PreparedOperation } from '../document.ts';
import { maxVariableErrors } from '../variable-size.ts';
import { PlanExecution, type Inputs } from './execution.ts';
import type { Plan } from './plan.ts';
import { Plans } from './plans.ts';

/** The execution plans that this process caches. */
const plans = new Plans();

/** An operation of a valid document, and the inputs to execute it with. */
export type Run = {
  schema: GraphQLSchema;
  operation: PreparedOperation;
  variables: Readonly<Record<string, unknown>> | null;
  context: unknown;
  rootValue?: unknown;
  /** The result of `readInputs` for the variables, if the caller has called it. */
  inputs?: ReturnType<typeof readInputs>;
};

/**
 * Executes an operation with its compiled plan, or with graphql-js if the operation cannot have a plan (plan/plans.ts).
 * Both ways give the same data and the same errors, with two exceptions: the order of the errors may differ, and if
 * several errors set the same place to null, a different error may be reported. Returns the result synchronously if the
 * plan had nothing to await. Never rejects.
 */
export function runOperation(run: Run): Soon<ExecutionResult> {
  const { schema, operation, context, rootValue } = run;
  const inputs = run.inputs ?? readInputs(run);
  if ('errors' in inputs) return inputs;
  let plan: Plan | null;
  try {
    plan = plans.find(schema, operation, inputs.variables);
  } catch (error) {
    // A `@skip` or `@include` at the root has a null condition. graphql-js returns the same answer.
    if (error instanceof GraphQLError) return { errors: [error], data: null };
    throw error;
  }
  if (plan === null) return runPlainly(run);
  return new PlanExecution(plan, { rootValue, context, inputs }).run();
}

/** Reads an operation's variables. The result can be used for all executions with the same variables. */
export function readInputs({
  schema,
  operation,
  variables,
}: Pick<Run, 'schema' | 'operation' | 'variables'>): Inputs | { errors: readonly GraphQLError[] } {
  const definitions = operation.operation.variableDefinitions ?? [];
  if (definitions.length === 0) return { variables: {}, arguments: new Map() };
  const read = getVariableValues(schema, definitions, variables ?? {}, { maxErrors: maxVariableErrors });
  return read.coerced === undefined ? { errors: read.errors } : { variables: read.coerced, arguments: new Map() };
}

/** Executes an operation with graphql-js. */
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
