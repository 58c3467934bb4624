import type { FieldNode, GraphQLObjectType, GraphQLOutputType, GraphQLResolveInfo } from 'graphql';
import type { Path } from './frame.ts';
import type { FieldPlan, Plan, Variables } from './plan.ts';

/** What one execution knows: the same for each of its fields. */
export type Shared = { plan: Plan; variables: Variables; rootValue: unknown };

/**
 * What a resolver is told about its field. graphql-js copies ten properties for each value. Few resolvers read
 * any, so these are looked up when they are read. Do not spread it: that copies only `path`.
 */
export class FieldInfo implements GraphQLResolveInfo {
  readonly path: Path;
  readonly #field: FieldPlan;
  readonly #shared: Shared;

  constructor(field: FieldPlan, path: Path, shared: Shared) {
    this.path = path;
    this.#field = field;
    this.#shared = shared;
  }

  get fieldName(): string {
    return this.#field.definition.name;
  }

  get fieldNodes(): readonly FieldNode[] {
    return this.#field.nodes;
  }

  get returnType(): GraphQLOutputType {
    return this.#field.definition.type;
  }

  get parentType(): GraphQLObjectType {
    return this.#field.parentType;
  }

  get schema(): GraphQLResolveInfo['schema'] {
    return this.#shared.plan.schema;
  }

  get fragments(): GraphQLResolveInfo['fragments'] {
    return this.#shared.plan.fragments;
  }

  get rootValue(): unknown {
    return this.#shared.rootValue;
  }

  get operation(): GraphQLResolveInfo['operation'] {
    return this.#shared.plan.operation;
  }

  get variableValues(): Variables {
    return this.#shared.variables;
  }
}
