import {
  getNamedType,
  getNullableType,
  isEnumType,
  isInputObjectType,
  isListType,
  isNonNullType,
  isObjectType,
  Kind,
  type FragmentDefinitionNode,
  type GraphQLInputType,
  type GraphQLNamedType,
  type GraphQLObjectType,
  type GraphQLOutputType,
  type SelectionNode,
  type SelectionSetNode,
} from 'graphql';

/** A JSON schema (OpenAPI 3.1: draft 2020-12). */
export type JsonSchema = Readonly<Record<string, unknown>>;

/** The fragments in a document, keyed by name. */
export type Fragments = ReadonlyMap<string, FragmentDefinitionNode>;

const scalars: Readonly<Record<string, JsonSchema>> = {
  ID: { type: 'string' },
  String: { type: 'string' },
  Int: { type: 'integer', format: 'int32' },
  Float: { type: 'number' },
  Boolean: { type: 'boolean' },
  DateTime: { type: 'string', format: 'date-time' },
  JSON: { type: 'object', additionalProperties: true },
};

/**
 * Creates the JSON schemas of the fields that documents select, and of the variables that they accept. Each fragment
 * and each enum becomes a separate schema, which `components` collects by name.
 */
export class SchemaPrinter {
  readonly components = new Map<string, JsonSchema>();

  /** Returns the schema of an input. Null is allowed where GraphQL allows it. */
  ofInput(type: GraphQLInputType): JsonSchema {
    return isNonNullType(type) ? this.ofParameter(type) : orNull(this.ofParameter(type));
  }

  /** Returns the schema of an input in a URL, which cannot be null. */
  ofParameter(type: GraphQLInputType): JsonSchema {
    const present = getNullableType(type);
    if (isListType(present)) return { type: 'array', items: this.ofInput(present.ofType) };
    if (isInputObjectType(present)) throw new Error(`${present.name}: the inputs of a route have no objects`);
    return this.#ofLeaf(getNamedType(present));
  }

  /**
   * Returns the schema of an object with this selection. If the selection consists of a single fragment, returns a
   * reference to the schema of that fragment.
   */
  ofSelection(set: SelectionSetNode, type: GraphQLObjectType, fragments: Fragments): JsonSchema {
    const only = onlyFragmentOf(set, fragments);
    if (only === null) return this.ofFields(set.selections, type, fragments);
    const name = only.name.value;
    if (!this.components.has(name)) {
      const object = this.ofFields(only.selectionSet.selections, type, fragments);
      this.components.set(name, describe(object, type.description));
    }
    return referTo(name);
  }

  /**
   * Returns the schema of an object with these fields. Every selected field is required, even if its value may be null.
   */
  ofFields(
    selections: readonly SelectionNode[],
    type: GraphQLObjectType,
    fragments: Fragments,
  ): JsonSchema & { properties: Record<string, JsonSchema> } {
    const properties: Record<string, JsonSchema> = {};
    for (const selection of selections) {
      if (selection.kind === Kind.FRAGMENT_SPREAD) {
        const fragment = fragments.get(selection.name.value);
        if (fragment !== undefined)
          Object.assign(properties, this.ofFields(fragment.selectionSet.selections, type, fragments).properties);
      } else if (selection.kind === Kind.FIELD && selection.name.value !== '__typename') {
        const field = type.getFields()[selection.name.value];
        if (field === undefined) throw new Error(`${type.name} has no field ${selection.name.value}`);
        const schema = this.ofOutput(field.type, selection.selectionSet, fragments);
        properties[(selection.alias ?? selection.name).value] = describe(schema, field.description);
      }
    }
    return { type: 'object', required: Object.keys(properties), properties };
  }

  /** Returns the schema of a field's value. */
  ofOutput(type: GraphQLOutputType, set: SelectionSetNode | undefined, fragments: Fragments): JsonSchema {
    const schema = this.ofPresent(type, set, fragments);
    return isNonNullType(type) ? schema : orNull(schema);
  }

  /** Returns the schema of a field's value when it is not null. */
  ofPresent(type: GraphQLOutputType, set: SelectionSetNode | undefined, fragments: Fragments): JsonSchema {
    const present = getNullableType(type);
    if (isListType(present)) return { type: 'array', items: this.ofOutput(present.ofType, set, fragments) };
    if (isObjectType(present) && set !== undefined) return this.ofSelection(set, present, fragments);
    return this.#ofLeaf(getNamedType(present));
  }

  #ofLeaf(type: GraphQLNamedType): JsonSchema {
    if (isEnumType(type)) {
      const values = type.getValues();
      const told = values.flatMap(({ name, description }) => (description == null ? [] : `- ${name}: ${description}`));
      const description = [type.description, ...told].filter(Boolean).join('\n');
      this.components.set(type.name, describe({ type: 'string', enum: values.map(({ name }) => name) }, description));
      return referTo(type.name);
    }
    const scalar = scalars[type.name];
    if (scalar === undefined) throw new Error(`${type.name} has no JSON schema`);
    return scalar;
  }
}

/** Returns a reference to one of the schemas in the same document. */
export function referTo(name: string): JsonSchema {
  return { $ref: `#/components/schemas/${name}` };
}

/** Adds a description, if there is one. */
export function describe<Schema extends object>(schema: Schema, description: string | null | undefined): Schema {
  return description == null || description === '' ? schema : { ...schema, description };
}

function orNull(schema: JsonSchema): JsonSchema {
  const { type } = schema;
  return typeof type === 'string' ? { ...schema, type: [type, 'null'] } : { anyOf: [schema, { type: 'null' }] };
}

function onlyFragmentOf({ selections }: SelectionSetNode, fragments: Fragments): FragmentDefinitionNode | null {
  const [only, ...others] = selections;
  if (only?.kind !== Kind.FRAGMENT_SPREAD || others.length > 0) return null;
  return fragments.get(only.name.value) ?? null;
}
