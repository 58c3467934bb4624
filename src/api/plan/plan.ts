import {
  getArgumentValues,
  GraphQLBoolean,
  GraphQLID,
  GraphQLInt,
  GraphQLString,
  isAbstractType,
  isLeafType,
  isListType,
  isNonNullType,
  isObjectType,
  Kind,
  SchemaMetaFieldDef,
  TypeMetaFieldDef,
  TypeNameMetaFieldDef,
  type FieldNode,
  type FragmentDefinitionNode,
  type GraphQLAbstractType,
  type GraphQLField,
  type GraphQLLeafType,
  type GraphQLObjectType,
  type GraphQLOutputType,
  type GraphQLSchema,
  type OperationDefinitionNode,
} from 'graphql';
import { collectFields, collectSubfields } from 'graphql/execution/collectFields.js';
import { inspect } from 'graphql/jsutils/inspect.js';
import type { PreparedOperation } from '../document.ts';
import { mentionsVariable } from '../measure.ts';

/** The coerced variables of an execution. */
export type Variables = Record<string, unknown>;

/** One key of an answer: the field that it comes from, and how the field's value becomes part of the answer. */
export type FieldPlan = {
  key: string;
  nodes: readonly FieldNode[];
  definition: GraphQLField<unknown, unknown>;
  parentType: GraphQLObjectType;
  /**
   * Reads the field's value if that requires only the field's object: no arguments, no context, and no resolver that
   * reads anything else. Null otherwise.
   */
  read: ((source: Record<string, unknown>) => unknown) | null;
  /** The field's arguments, if they are the same in all executions. */
  constants: Readonly<Record<string, unknown>> | null;
  value: ValuePlan;
};

/** How a value is completed. One value plan covers one level of the field's type. */
export type ValuePlan = {
  /** Whether null is an error. */
  isRequired: boolean;
  /** Serialises a leaf value. This is null for all other types, and so are the next three properties. */
  leaf: ((value: unknown) => unknown) | null;
  item: ValuePlan | null;
  object: GraphQLObjectType | null;
  abstract: GraphQLAbstractType | null;
  /** The fields selected from each object type that has occurred here. */
  selections: Map<GraphQLObjectType, readonly FieldPlan[]>;
};

/**
 * A compiled operation. It computes once what graphql-js computes in each execution for each object. A selection is
 * compiled only when the first object of its type occurs, because most members of an interface never occur.
 */
export class Plan {
  readonly schema: GraphQLSchema;
  readonly operation: OperationDefinitionNode;
  readonly fragments: Record<string, FragmentDefinitionNode>;
  readonly rootType: GraphQLObjectType;
  readonly root: readonly FieldPlan[];
  /** The values of the variables in `@skip` and `@include`. Every other combination of values has its own plan. */
  readonly #conditions: Variables;
  readonly #onCompiled: (fieldCount: number) => void;

  constructor(
    schema: GraphQLSchema,
    { document, operation }: PreparedOperation,
    options: { rootType: GraphQLObjectType; conditions: Variables; onCompiled: (fieldCount: number) => void },
  ) {
    this.schema = schema;
    this.operation = operation;
    this.fragments = fragmentsOf(document.definitions);
    this.rootType = options.rootType;
    this.#conditions = options.conditions;
    this.#onCompiled = options.onCompiled;
    const { selectionSet } = operation;
    this.root = this.#compile(
      this.rootType,
      collectFields(schema, this.fragments, this.#conditions, this.rootType, selectionSet),
    );
  }

  /** Returns the fields to read from an object of this type, in the order of the answer. */
  select(value: ValuePlan, type: GraphQLObjectType, nodes: readonly FieldNode[]): readonly FieldPlan[] {
    const known = value.selections.get(type);
    if (known !== undefined) return known;
    const fields = this.#compile(
      type,
      collectSubfields(this.schema, this.fragments, this.#conditions, type, [...nodes]),
    );
    value.selections.set(type, fields);
    return fields;
  }

  #compile(type: GraphQLObjectType, collected: ReadonlyMap<string, readonly FieldNode[]>): FieldPlan[] {
    const fields: FieldPlan[] = [];
    for (const [key, nodes] of collected) {
      const definition = this.#definitionOf(type, nodes[0]?.name.value ?? '');
      if (definition === undefined) continue;
      fields.push({
        key,
        nodes,
        definition,
        parentType: type,
        read: readerOf(definition),
        constants: constantsOf(definition, nodes[0]),
        value: toValuePlan(definition.type),
      });
    }
    this.#onCompiled(fields.length);
    return fields;
  }

  #definitionOf(type: GraphQLObjectType, name: string): GraphQLField<unknown, unknown> | undefined {
    if (name === '__typename') return TypeNameMetaFieldDef;
    if (type === this.schema.getQueryType()) {
      if (name === '__schema') return SchemaMetaFieldDef;
      if (name === '__type') return TypeMetaFieldDef;
    }
    return type.getFields()[name];
  }
}

/**
 * The name of the extension that marks a field whose resolver reads only the object and never fails: `(source) =>
 * value`. A field without a resolver reads the object's property of that name.
 */
export const plainResolver = 'plainResolver';

function readerOf({ name, resolve, extensions }: GraphQLField<unknown, unknown>): FieldPlan['read'] {
  if (extensions[plainResolver] === true && resolve !== undefined) return resolve as FieldPlan['read'];
  return resolve === undefined ? (source) => source[name] : null;
}

const noArguments = Object.freeze({});

function constantsOf(definition: GraphQLField<unknown, unknown>, node: FieldNode | undefined): FieldPlan['constants'] {
  if (definition.args.length === 0) return noArguments;
  if (node === undefined || (node.arguments ?? []).some(({ value }) => mentionsVariable(value))) return null;
  try {
    return Object.freeze(getArgumentValues(definition, node));
  } catch {
    // Each execution reports the error.
    return null;
  }
}

function fragmentsOf(definitions: PreparedOperation['document']['definitions']) {
  const fragments: Record<string, FragmentDefinitionNode> = Object.create(null);
  for (const each of definitions) if (each.kind === Kind.FRAGMENT_DEFINITION) fragments[each.name.value] = each;
  return fragments;
}

function toValuePlan(type: GraphQLOutputType): ValuePlan {
  const isRequired = isNonNullType(type);
  const inner = isRequired ? type.ofType : type;
  return {
    isRequired,
    leaf: isLeafType(inner) ? leafOf(inner) : null,
    item: isListType(inner) ? toValuePlan(inner.ofType) : null,
    object: isObjectType(inner) ? inner : null,
    abstract: isAbstractType(inner) ? inner : null,
    selections: new Map(),
  };
}

/**
 * The serializers of these types inspect a value several times, although nearly every value already has the right form.
 */
function leafOf(type: GraphQLLeafType): (value: unknown) => unknown {
  const slowly = (value: unknown) => serializeLeaf(type, value);
  if (type === GraphQLString || type === GraphQLID)
    return (value) => (typeof value === 'string' ? value : slowly(value));
  if (type === GraphQLBoolean) return (value) => (typeof value === 'boolean' ? value : slowly(value));
  if (type === GraphQLInt)
    return (value) =>
      typeof value === 'number' && value === Math.trunc(value) && Math.abs(value) < 2 ** 31 ? value : slowly(value);
  return slowly;
}

function serializeLeaf(type: GraphQLLeafType, value: unknown): unknown {
  const serialized: unknown = type.serialize(value);
  if (serialized != null) return serialized;
  throw new Error(
    `Expected \`${inspect(type)}.serialize(${inspect(value)})\` to return non-nullable value, returned: ${inspect(serialized)}`,
  );
}
