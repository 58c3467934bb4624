import { Kind, visit, type GraphQLSchema, type OperationDefinitionNode } from 'graphql';
import type { PreparedOperation } from '../document.ts';
import { Plan, type Variables } from './plan.ts';

/** The maximum number of fields in all compiled plans together. */
const maxFields = 50_000;

/** With more variables than this in `@skip` and `@include`, an operation would need too many plans. */
const maxConditions = 6;

/**
 * The plans of the operations in use. An operation has one plan for each combination of the values of the variables in
 * its `@skip` and `@include`, so a plan contains no conditions. When the plans exceed the limit, the least recently
 * used operations are dropped.
 */
export class Plans {
  readonly #maxFields: number;
  readonly #kept = new Map<OperationDefinitionNode, PlansOfOperation>();
  #fieldCount = 0;
  #latest: { operation: OperationDefinitionNode; of: PlansOfOperation } | null = null;

  constructor(limit = maxFields) {
    this.#maxFields = limit;
  }

  /** The total number of fields in the cached plans. */
  get fieldCount(): number {
    return this.#fieldCount;
  }

  /** Returns the plan for these variables, or null if the operation must be executed without a plan. */
  find(schema: GraphQLSchema, prepared: PreparedOperation, variables: Variables): Plan | null {
    const of = this.#findAll(prepared);
    if (of.conditions === null) return null;
    const key = of.conditions.map((name) => String(variables[name])).join();
    return of.byConditions.get(key) ?? this.#add(schema, prepared, { of, key, variables });
  }

  /** Returns the plans of an operation, and marks the operation as the most recently used one. */
  #findAll(prepared: PreparedOperation): PlansOfOperation {
    const { operation } = prepared;
    // A replay uses the same operation for thousands of events.
    if (this.#latest?.operation === operation) return this.#latest.of;
    const known = this.#kept.get(operation);
    const of = known ?? readConditions(prepared);
    // The most recently used operation comes last.
    if (known !== undefined) this.#kept.delete(operation);
    else this.#fieldCount += of.fieldCount;
    this.#kept.set(operation, of);
    this.#latest = { operation, of };
    this.#dropOldest();
    return of;
  }

  #add(
    schema: GraphQLSchema,
    prepared: PreparedOperation,
    { of, key, variables }: { of: PlansOfOperation; key: string; variables: Variables },
  ): Plan | null {
    const rootType = schema.getRootType(prepared.operation.operation);
    if (rootType == null) return null;
    const conditions = Object.fromEntries((of.conditions ?? []).map((name) => [name, variables[name]]));
    const onCompiled = (fieldCount: number) => {
      of.fieldCount += fieldCount;
      if (this.#kept.get(prepared.operation) !== of) return;
      this.#fieldCount += fieldCount;
      this.#dropOldest();
    };
    const plan = new Plan(schema, prepared, { rootType, conditions, onCompiled });
    of.byConditions.set(key, plan);
    return plan;
  }

  #dropOldest(): void {
    for (const [operation, { fieldCount }] of this.#kept) {
      if (this.#fieldCount <= this.#maxFields) return;
      this.#kept.delete(operation);
      this.#fieldCount -= fieldCount;
      if (this.#latest?.operation === operation) this.#latest = null;
    }
  }
}

/**
 * `conditions` lists the variables in `@skip` and `@include`. It is null if the operation is to be executed without a
 * plan.
 */
type PlansOfOperation = { conditions: string[] | null; byConditions: Map<string, Plan>; fieldCount: number };

function readConditions({ document }: PreparedOperation): PlansOfOperation {
  const names = new Set<string>();
  let isPlannable = true;
  visit(document, {
    Directive: ({ arguments: given = [] }) => {
      for (const { value } of given) if (value.kind === Kind.VARIABLE) names.add(value.name.value);
    },
    // The answer is a plain object, and assigning this key would set its prototype.
    Field: ({ alias, name }) => void (isPlannable &&= (alias ?? name).value !== '__proto__'),
  });
  const conditions = isPlannable && names.size <= maxConditions ? [...names] : null;
  // The operation counts as one field until one of its plans is compiled.
  return { conditions, byConditions: new Map(), fieldCount: 1 };
}
