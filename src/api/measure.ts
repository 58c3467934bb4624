import {
  getArgumentValues,
  getNamedType,
  getVariableValues,
  GraphQLError,
  isAbstractType,
  isLeafType,
  isObjectType,
  Kind,
  OperationTypeNode,
  type FieldNode,
  type FragmentDefinitionNode,
  type GraphQLCompositeType,
  type GraphQLField,
  type GraphQLObjectType,
  type GraphQLSchema,
  type OperationDefinitionNode,
  type SelectionSetNode,
  type ValueNode,
} from 'graphql';
import { sliceLimits } from '../live/render-turn.ts';
import type { PreparedOperation } from './document.ts';
import { introspectionOf } from './introspection.ts';
import { countFields, maxVariableFields } from './variable-size.ts';
import { hasDeclaredSize, isList, leafBytes, sizeOf, type FieldSize } from './field-size.ts';

/**
 * How much an operation asks for, or may ask for. `depth`: the number of levels of fields. `breadth`: the number of
 * fields in the document, counting the fields of a fragment once per spread. `complexity`: the number of fields in the
 * answer, each multiplied by the sizes of the lists around it. `bytes`: the size of the largest possible answer as
 * JSON, with every text at its maximum length.
 */
export type Measure = { depth: number; breadth: number; complexity: number; bytes: number };

/**
 * The limits for one operation. They allow the largest query that a client can reasonably need, but not pages of pages.
 * The introspection query of graphql-js has a complexity of 8,600 and an answer of up to 210 KB
 * (test/api/measure.test.ts).
 */
export const operationLimits: Measure = { depth: 15, breadth: 300, complexity: 30_000, bytes: 10 * 1024 * 1024 };

/**
 * The limits for one execution of a subscription, which handles one event. The complexity and the bytes are lower than
 * for a query, because the server executes a subscription again for every event.
 */
export const eventLimits: Measure = { ...operationLimits, ...sliceLimits };

const nothing: Measure = { depth: 0, breadth: 0, complexity: 0, bytes: 0 };

/** The length of the JSON around an answer: `{"data":}`. */
const frameBytes = 9;

/** The measures that do not depend on variables, by operation. */
const measured = new WeakMap<OperationDefinitionNode, Measure>();

/**
 * Measures an operation of a valid document without executing any of it, in time linear in the document's length.
 * Returns null if the variables are invalid, because there is then nothing to execute.
 */
export function measureOperation(
  schema: GraphQLSchema,
  { document, operation }: PreparedOperation,
  variables: Readonly<Record<string, unknown>> | null,
): Measure | null {
  const known = measured.get(operation);
  if (known !== undefined) return known;
  const root = schema.getRootType(operation.operation);
  if (root == null) return nothing;
  const fragments = new Map<string, FragmentDefinitionNode>();
  for (const each of document.definitions) {
    if (each.kind === Kind.FRAGMENT_DEFINITION) fragments.set(each.name.value, each);
  }
  const measuring = new Measuring(schema, fragments, () => {
    const read = getVariableValues(schema, operation.variableDefinitions ?? [], variables ?? {}, { maxErrors: 1 });
    if (read.coerced === undefined) throw new UnfitVariables();
    return read.coerced;
  });
  try {
    const measure = measuring.measure(operation.selectionSet, root);
    const whole = { ...measure, bytes: measure.bytes + frameBytes };
    if (!measuring.hasReadVariables) measured.set(operation, whole);
    return whole;
  } catch (error) {
    if (error instanceof UnfitVariables) return null;
    throw error;
  }
}

/**
 * Measures an operation and checks its size against the limits. `refusal` is the error if the operation asks for too
 * much, and null otherwise. Call this function before you execute any part of the operation. If `refusal` and `measure`
 * are both null, the variables are invalid, and executing the operation reports them.
 */
export function judgeSize(
  schema: GraphQLSchema,
  operation: PreparedOperation,
  variables: Readonly<Record<string, unknown>> | null,
): { refusal: GraphQLError | null; measure: Measure | null } {
  if (countFields(variables) > maxVariableFields) {
    const fields = `the objects in its variables have more than ${maxVariableFields} fields`;
    return { refusal: tooLarge(fields), measure: null };
  }
  const measure = measureOperation(schema, operation, variables);
  return { refusal: measure && refuse(measure, operation), measure };
}

function refuse(measure: Measure, { operation }: PreparedOperation): GraphQLError | null {
  const isSubscription = operation.operation === OperationTypeNode.SUBSCRIPTION;
  const limits = isSubscription ? eventLimits : operationLimits;
  const over = (['depth', 'breadth', 'complexity', 'bytes'] as const).find((name) => measure[name] > limits[name]);
  if (over === undefined) return null;
  const told = over === 'bytes' ? 'number of bytes in the worst case' : over;
  return tooLarge(
    `its ${told}${isSubscription ? ' per event' : ''}, ${measure[over]}, is over the limit of ${limits[over]}`,
  );
}

function tooLarge(reason: string): GraphQLError {
  return new GraphQLError(`The operation is too large: ${reason}.`, { extensions: { code: 'BAD_REQUEST' } });
}

class UnfitVariables extends Error {}

/** Measures one operation. It measures each selection set once for each type that the set applies to. */
class Measuring {
  hasReadVariables = false;
  readonly #schema: GraphQLSchema;
  readonly #fragments: ReadonlyMap<string, FragmentDefinitionNode>;
  readonly #readVariables: () => Record<string, unknown>;
  readonly #known = new Map<SelectionSetNode, Map<GraphQLObjectType, Measure>>();
  #variables: Record<string, unknown> | undefined;

  constructor(
    schema: GraphQLSchema,
    fragments: ReadonlyMap<string, FragmentDefinitionNode>,
    readVariables: () => Record<string, unknown>,
  ) {
    this.#schema = schema;
    this.#fragments = fragments;
    this.#readVariables = readVariables;
  }

  /**
   * Measures a selection set. For an abstract type, returns the largest measures among the types that a value can have.
   */
  measure(set: SelectionSetNode, type: GraphQLCompositeType): Measure {
    if (!isAbstractType(type)) return this.#measureObject(set, type);
    let largest = nothing;
    for (const possible of this.#schema.getPossibleTypes(type)) {
      const each = this.#measureObject(set, possible);
      largest = {
        depth: Math.max(largest.depth, each.depth),
        breadth: Math.max(largest.breadth, each.breadth),
        complexity: Math.max(largest.complexity, each.complexity),
        bytes: Math.max(largest.bytes, each.bytes),
      };
    }
    return largest;
  }

  #measureObject(set: SelectionSetNode, type: GraphQLObjectType): Measure {
    let byType = this.#known.get(set);
    if (byType === undefined) this.#known.set(set, (byType = new Map()));
    const known = byType.get(type);
    if (known !== undefined) return known;
    const sum = { ...nothing };
    for (const selection of set.selections) {
      let each: Measure;
      if (selection.kind === Kind.FIELD) each = this.#measureField(selection, type);
      else {
        const fragment =
          selection.kind === Kind.INLINE_FRAGMENT ? selection : this.#fragments.get(selection.name.value);
        if (fragment === undefined || !this.#applies(fragment.typeCondition?.name.value, type)) continue;
        each = this.#measureObject(fragment.selectionSet, type);
      }
      sum.depth = Math.max(sum.depth, each.depth);
      sum.breadth += each.breadth;
      sum.complexity += each.complexity;
      sum.bytes += each.bytes;
    }
    byType.set(type, sum);
    return sum;
  }

  #applies(condition: string | undefined, type: GraphQLObjectType): boolean {
    if (condition === undefined || condition === type.name) return true;
    const named = this.#schema.getType(condition);
    return isAbstractType(named) && this.#schema.isSubType(named, type);
  }

  #measureField(node: FieldNode, type: GraphQLObjectType): Measure {
    const name = node.name.value;
    const keyBytes = (node.alias ?? node.name).value.length + '"":,'.length;
    if (name === '__typename') {
      return { depth: 1, breadth: 1, complexity: 1, bytes: keyBytes + type.name.length + '""'.length };
    }
    if (name === '__schema' || name === '__type') {
      const { complexity, bytes } = introspectionOf(this.#schema).measure(node, this.#fragments);
      return { depth: 1, breadth: 1, complexity, bytes: keyBytes + bytes };
    }
    const field = type.getFields()[name];
    if (field === undefined) return nothing;
    const size = this.#sizeOf(field, node);
    if (size === null) return { depth: 1, breadth: 1, complexity: 1, bytes: keyBytes + 'null'.length };
    const { cost, items } = size;
    const named = getNamedType(field.type);
    if (isLeafType(named) || node.selectionSet === undefined) {
      return { depth: 1, breadth: 1, complexity: cost, bytes: keyBytes + items * leafBytes(field) };
    }
    const below = this.measure(node.selectionSet, named);
    return {
      depth: 1 + below.depth,
      breadth: 1 + below.breadth,
      complexity: cost + items * below.complexity,
      bytes: keyBytes + items * (below.bytes + '{},'.length) + (isList(field.type) ? '[]'.length : 0),
    };
  }

  /**
   * Returns null if the arguments are invalid. In that case, only this field fails, and it fails before it is resolved.
   */
  #sizeOf(field: GraphQLField<unknown, unknown>, node: FieldNode): FieldSize | null {
    try {
      return sizeOf(field, this.#argumentsOf(field, node));
    } catch (error) {
      if (error instanceof GraphQLError) return null;
      throw error;
    }
  }

  /** Reads a field's arguments; only called if the size of the field depends on them. */
  #argumentsOf(field: GraphQLField<unknown, unknown>, node: FieldNode): () => Record<string, unknown> {
    return () => {
      if (!(node.arguments ?? []).some(({ value }) => mentionsVariable(value)))
        return getArgumentValues(field, node, {});
      this.hasReadVariables = true;
      this.#variables ??= this.#readVariables();
      return getArgumentValues(field, node, this.#variables);
    };
  }
}

/** Returns whether an argument's value contains a variable. */
export function mentionsVariable(value: ValueNode): boolean {
  if (value.kind === Kind.LIST) return value.values.some(mentionsVariable);
  if (value.kind === Kind.OBJECT) return value.fields.some((field) => mentionsVariable(field.value));
  return value.kind === Kind.VARIABLE;
}

/** Returns the fields without a declared size, as `Type.field`. Operations that select them cannot be measured. */
export function findUnsizedFields(schema: GraphQLSchema): string[] {
  return Object.values(schema.getTypeMap())
    .filter(isObjectType)
    .filter(({ name }) => !name.startsWith('__'))
    .flatMap((type) =>
      Object.values(type.getFields())
        .filter((field) => !hasDeclaredSize(field))
        .map((field) => `${type.name}.${field.name}`),
    );
}
