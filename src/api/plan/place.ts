import type { FieldNode, GraphQLObjectType, GraphQLOutputType, GraphQLResolveInfo } from 'graphql';
import type { Frame, Path } from './frame.ts';
import type { FieldPlan, Plan, ValuePlan, Variables } from './plan.ts';

/** The data that all fields of one execution share. */
export type Shared = { plan: Plan; variables: Variables; rootValue: unknown };

/**
 * The place of a value in the answer: its frame, its key in that frame, and its field in the document. It is also the
 * `info` argument of the field's resolver. graphql-js creates an object with ten properties, and a path, for each
 * value. Few resolvers read any of these, so this class computes each property only when it is read. Do not spread this
 * object.
 */
export class Place implements GraphQLResolveInfo {
  readonly frame: Frame;
  readonly key: string | number;
  readonly field: FieldPlan;
  readonly value: ValuePlan;
  readonly #shared: Shared;

  constructor(frame: Frame, key: string | number, of: { field: FieldPlan; value: ValuePlan; shared: Shared }) {
    this.frame = frame;
    this.key = key;
    this.field = of.field;
    this.value = of.value;
    this.#shared = of.shared;
  }

  /** Returns the place of an item in the list at this place. */
  itemAt(list: Frame, index: number, item: ValuePlan): Place {
    return new Place(list, index, { field: this.field, value: item, shared: this.#shared });
  }

  /**
   * The `info` argument of a type's own resolvers. For an item of a list, it is the `info` of the field that returned
   * the list.
   */
  get info(): Place {
    let { frame, key } = this;
    if (frame.typeName !== undefined) return this;
    while (frame.typeName === undefined && frame.up !== null) ({ up: frame, key } = frame as Frame & { up: Frame });
    return new Place(frame, key, { field: this.field, value: this.value, shared: this.#shared });
  }

  get path(): Path {
    return this.frame.pathTo(this.key);
  }

  get fieldName(): string {
    return this.field.definition.name;
  }

  get fieldNodes(): readonly FieldNode[] {
    return this.field.nodes;
  }

  get returnType(): GraphQLOutputType {
    return this.field.definition.type;
  }

  get parentType(): GraphQLObjectType {
    return this.field.parentType;
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
