import {
  getNamedType,
  introspectionFromSchema,
  isCompositeType,
  isObjectType,
  Kind,
  SchemaMetaFieldDef,
  TypeMetaFieldDef,
  type FieldNode,
  type FragmentDefinitionNode,
  type GraphQLObjectType,
  type GraphQLSchema,
  type SelectionSetNode,
} from 'graphql';
import { isRecord } from '../core/json.ts';

/** What an introspection field adds to an answer. */
export type IntrospectionMeasure = { complexity: number; bytes: number };

/** The maximum number of wrappers (list, non-null) around a type. No real schema needs more. */
const maxWrappers = 6;

const introspections = new WeakMap<GraphQLSchema, Introspection>();

/** Returns the introspection of the schema. The first call for a schema takes about 20 ms. */
export function introspectionOf(schema: GraphQLSchema): Introspection {
  let known = introspections.get(schema);
  if (known === undefined) introspections.set(schema, (known = new Introspection(schema)));
  return known;
}

/**
 * All elements of one kind in the schema (all types, all their fields, …): how many there are, and the size of their
 * properties.
 */
class Population {
  readonly elements: readonly Record<string, unknown>[];
  readonly #texts = new Map<string, { total: number; max: number }>();
  readonly #lists = new Map<string, { total: number; max: number; population: Population }>();

  constructor(elements: readonly Record<string, unknown>[]) {
    this.elements = elements;
  }

  /** Returns the size of the property as JSON in bytes: the sum over all elements, and the maximum. */
  textOf(name: string): { total: number; max: number } {
    let known = this.#texts.get(name);
    if (known === undefined) {
      const sizes = this.elements.map((each) => Buffer.byteLength(JSON.stringify(each[name] ?? null)));
      known = { total: sizes.reduce((sum, size) => sum + size, 0), max: sizes.reduce((a, b) => Math.max(a, b), 0) };
      this.#texts.set(name, known);
    }
    return known;
  }

  /** Returns the length of the list: the sum over all elements, and the maximum. */
  listOf(name: string): { total: number; max: number; population: Population } {
    let known = this.#lists.get(name);
    if (known === undefined) {
      const lists = this.elements.map((each) => readList(each[name]));
      const max = lists.reduce((longest, { length }) => Math.max(longest, length), 0);
      const all = lists.flat();
      known = { total: all.length, max, population: new Population(all) };
      this.#lists.set(name, known);
    }
    return known;
  }
}

function readList(value: unknown): Record<string, unknown>[] {
  return Array.isArray(value) ? value.filter(isRecord) : [];
}

/**
 * A position in an introspection query. It stands either for every element of a population once (as in `types { fields
 * }`), or for one unknown element, in which case the largest element counts (as in `fields { type }`). A type may have
 * up to `wrappers` more wrappers around it.
 */
type Place = { type: GraphQLObjectType; population: Population; isOne: boolean; wrappers: number };

type Known = Map<SelectionSetNode, Map<string, IntrospectionMeasure>>;

type Reading = { fragments: ReadonlyMap<string, FragmentDefinitionNode>; known: Known };

/**
 * The content of a schema's introspection, from which the size of the answer to an introspection query can be computed
 * without executing the query.
 */
export class Introspection {
  readonly #schema: Population;
  readonly #types: Population;
  readonly #wrappers: number;
  readonly #populationIds = new Map<Population, number>();

  constructor(schema: GraphQLSchema) {
    const { __schema } = introspectionFromSchema(schema);
    this.#schema = new Population([{ ...__schema }]);
    this.#types = this.#schema.listOf('types').population;
    this.#wrappers = Math.min(maxWrappers, deepest(__schema));
  }

  /**
   * Measures a `__schema` or `__type` field, not counting the field's own name. Takes time that is linear in the length
   * of the document.
   */
  measure(node: FieldNode, fragments: ReadonlyMap<string, FragmentDefinitionNode>): IntrospectionMeasure {
    const isSchema = node.name.value === SchemaMetaFieldDef.name;
    const type = getNamedType((isSchema ? SchemaMetaFieldDef : TypeMetaFieldDef).type);
    if (node.selectionSet === undefined || !isObjectType(type)) return { complexity: 1, bytes: 0 };
    const place = isSchema
      ? { type, population: this.#schema, isOne: false, wrappers: 0 }
      : { type, population: this.#types, isOne: true, wrappers: 0 };
    const { complexity, bytes } = this.#measureSet(node.selectionSet, place, { fragments, known: new Map() });
    return { complexity: 1 + complexity, bytes };
  }

  #measureSet(set: SelectionSetNode, place: Place, reading: Reading): IntrospectionMeasure {
    let byPlace = reading.known.get(set);
    if (byPlace === undefined) reading.known.set(set, (byPlace = new Map()));
    const key = `${this.#idOf(place.population)} ${place.isOne} ${place.wrappers}`;
    const known = byPlace.get(key);
    if (known !== undefined) return known;
    const count = place.isOne ? 1 : place.population.elements.length;
    const sum = { complexity: 0, bytes: count * '{},'.length };
    for (const selection of set.selections) {
      const each = this.#measureSelection(selection, place, reading);
      sum.complexity += each.complexity;
      sum.bytes += each.bytes;
    }
    byPlace.set(key, sum);
    return sum;
  }

  #measureSelection(
    selection: SelectionSetNode['selections'][number],
    place: Place,
    reading: Reading,
  ): IntrospectionMeasure {
    if (selection.kind === Kind.FIELD) return this.#measureField(selection, place, reading);
    const fragment = selection.kind === Kind.INLINE_FRAGMENT ? selection : reading.fragments.get(selection.name.value);
    return fragment === undefined
      ? { complexity: 0, bytes: 0 }
      : this.#measureSet(fragment.selectionSet, place, reading);
  }

  #measureField(node: FieldNode, place: Place, reading: Reading): IntrospectionMeasure {
    const { population, isOne } = place;
    const name = node.name.value;
    const count = isOne ? 1 : population.elements.length;
    const bytes = count * ((node.alias ?? node.name).value.length + '"":,'.length);
    const type = getNamedType(place.type.getFields()[name]?.type);
    if (!isCompositeType(type) || !isObjectType(type) || node.selectionSet === undefined) {
      const { total, max } = name === '__typename' ? typenameSize(place) : population.textOf(name);
      return { complexity: count, bytes: bytes + (isOne ? max : total) };
    }
    const { items, below } = this.#below(name, place, type);
    const inside = this.#measureSet(node.selectionSet, below, reading);
    return {
      complexity: count + items * inside.complexity,
      bytes: bytes + count * 'null'.length + items * inside.bytes,
    };
  }

  /** Returns the position that a field leads to, and how many times the selection below it counts. */
  #below(
    name: string,
    { population, isOne, wrappers }: Place,
    type: GraphQLObjectType,
  ): { items: number; below: Place } {
    const count = isOne ? 1 : population.elements.length;
    const oneType: Place = { type, population: this.#types, isOne: true, wrappers: 0 };
    if (name === 'ofType') {
      // `ofType` is null for a type without wrappers.
      return { items: wrappers === 0 ? 0 : count, below: { ...oneType, wrappers: Math.max(0, wrappers - 1) } };
    }
    if (name === 'type') return { items: count, below: { ...oneType, wrappers: this.#wrappers } };
    if (/^(query|mutation|subscription)Type$/.test(name)) return { items: count, below: oneType };
    const list = population.listOf(name);
    if (name === 'interfaces' || name === 'possibleTypes') {
      return { items: isOne ? list.max : list.total, below: oneType };
    }
    return { items: isOne ? list.max : 1, below: { type, population: list.population, isOne, wrappers: 0 } };
  }

  #idOf(population: Population): number {
    let id = this.#populationIds.get(population);
    if (id === undefined) this.#populationIds.set(population, (id = this.#populationIds.size));
    return id;
  }
}

function typenameSize({ type, population }: Place): { total: number; max: number } {
  const max = type.name.length + '""'.length;
  return { total: max * population.elements.length, max };
}

/** Returns the number of wrappers around the most deeply wrapped type. */
function deepest(value: unknown): number {
  if (Array.isArray(value)) return value.reduce<number>((most, each) => Math.max(most, deepest(each)), 0);
  if (!isRecord(value)) return 0;
  return Object.entries(value).reduce((most, [name, each]) => {
    const below = deepest(each);
    return Math.max(most, name === 'ofType' && each !== null ? below + 1 : below);
  }, 0);
}
