import { execute, getVariableValues, GraphQLError, type ExecutionResult, type GraphQLSchema } from 'graphql';
import type { Soon } from '../../core/soon.ts';
import type { PreparedOperation } from '../document.ts';
import { maxVariableErrors } from '../variable-size.ts';
import { PlanExecution, type Inputs } from './execution.ts';
import type { Plan } from './plan.ts';
import { Plans } from './plans.ts';

/** The execution plans that this process keeps. */
const plans = new Plans();

/** An operation of a valid document, and what to execute it with. */
export type Run = {
  schema: GraphQLSchema;
  operation: PreparedOperation;
  variables: Readonly<Record<string, unknown>> | null;
  context: unknown;
  rootValue?: unknown;
  /** What `readInputs` returned for the variables, if the caller has called it. */
  inputs?: ReturnType<typeof readInputs>;
};

/**
 * Executes an operation with its compiled plan, or with graphql-js if it cannot have one (plan/plans.ts). Either way,
 * the data and the errors are the same, except for the order of the errors; where several errors set the same place to
 * null, a different one may be reported. Returns the result at once if the plan had nothing to await. Never rejects.
 */
export function runOperation(run: Run): Soon<ExecutionResult> {
  const { schema, operation, context, rootValue } = run;
  const inputs = run.inputs ?? readInputs(run);
  if ('errors' in inputs) return inputs;
  let plan: Plan | null;
  try {
    plan = plans.find(schema, operation, inputs.variables);
  } catch (error) {
    // A `@skip` or `@include` at the root has a null condition: graphql-js gives the same answer.
    if (error instanceof GraphQLError) return { errors: [error], data: null };
    throw error;
  }
  if (plan === null) return runPlainly(run);
  return new PlanExecution(plan, { rootValue, context, inputs }).run();
}

/** Reads an operation's variables, once for all of its executions with the same ones. */
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
