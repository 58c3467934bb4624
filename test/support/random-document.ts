import {
  getNamedType,
  getNullableType,
  isAbstractType,
  isCompositeType,
  isEnumType,
  isInputObjectType,
  isListType,
  isNonNullType,
  isObjectType,
  type GraphQLCompositeType,
  type GraphQLField,
  type GraphQLInputType,
  type GraphQLSchema,
} from 'graphql';

/** A source of randomness: returns an integer from 0 to `count` − 1. */
export type Dice = (count: number) => number;

/** Creates a source of randomness that returns the same numbers for the same seed (mulberry32). */
export function createDice(seed: number): Dice {
  let state = seed;
  return (count) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296) * count);
  };
}

/** The names and values that a random document may use, and the fields that it selects at its root. */
export type Vocabulary = {
  ids: readonly string[];
  texts: readonly string[];
  roots: readonly string[];
  /** Alias prefixes to which the test's resolvers react. */
  aliases: readonly string[];
};

/** A document, and values for its variables. */
export type RandomDocument = {
  selections: string;
  head: string;
  fragments: string;
  variables: Record<string, unknown>;
};

const maxDepth = 5;

/**
 * Writes random documents for a schema, with all kinds of selections, arguments, variables, directives and fragments.
 */
export class RandomWriter {
  readonly #schema: GraphQLSchema;
  readonly #dice: Dice;
  readonly #vocabulary: Vocabulary;
  readonly #variables = new Map<string, { type: string; value: unknown }>();
  readonly #fragments: string[] = [];
  #count = 0;

  constructor(schema: GraphQLSchema, dice: Dice, vocabulary: Vocabulary) {
    this.#schema = schema;
    this.#dice = dice;
    this.#vocabulary = vocabulary;
  }

  write(root: 'Query' | 'Mutation'): RandomDocument {
    const type = this.#schema.getType(root);
    if (!isObjectType(type)) throw new Error(`no ${root}`);
    const names = this.#vocabulary.roots;
    const chosen = Array.from({ length: 1 + this.#dice(2) }, () => this.#pick(names));
    const selections = chosen.map((name) => this.#field(type.getFields()[name], 0)).join(' ');
    const declared = [...this.#variables].map(([name, { type: of }]) => `$${name}: ${of}`).join(', ');
    return {
      selections,
      head: `${root.toLowerCase()} Random${declared === '' ? '' : `(${declared})`}`,
      fragments: this.#fragments.join(' '),
      variables: Object.fromEntries([...this.#variables].map(([name, { value }]) => [name, value])),
    };
  }

  #pick<Item>(items: readonly Item[]): Item {
    const item = items[this.#dice(items.length)];
    if (item === undefined) throw new Error('there is nothing to pick from');
    return item;
  }

  #selections(type: GraphQLCompositeType, depth: number): string {
    const parts = ['__typename'];
    if (isAbstractType(type)) {
      const members = this.#schema.getPossibleTypes(type);
      for (let number = 0; number < 3; number += 1) parts.push(this.#fragment(this.#pick(members), depth));
      const named = members.filter(({ name }) =>
        ['Message', 'Chat', 'User', 'NotFound', 'InvalidInput'].includes(name),
      );
      for (const member of named) if (this.#dice(2) === 0) parts.push(this.#fragment(member, depth));
    }
    if ('getFields' in type) {
      const fields = Object.values(type.getFields()).filter(
        (field) => depth < maxDepth || !isCompositeType(getNamedType(field.type)),
      );
      const count = fields.length === 0 ? 0 : 1 + this.#dice(Math.min(6, fields.length));
      for (let number = 0; number < count; number += 1) parts.push(this.#field(this.#pick(fields), depth));
      if (this.#dice(6) === 0) parts.push(this.#fragment(type, depth));
    }
    return parts.join(' ');
  }

  #fragment(type: GraphQLCompositeType, depth: number): string {
    const body = this.#selections(type, depth + 1);
    if (this.#dice(3) > 0) return `... on ${type.name}${this.#directive()} { ${body} }`;
    this.#count += 1;
    const name = `F${this.#count}`;
    this.#fragments.push(`fragment ${name} on ${type.name} { ${body} }`);
    return `...${name}${this.#directive()}`;
  }

  #field(field: GraphQLField<unknown, unknown> | undefined, depth: number): string {
    if (field === undefined) return '__typename';
    this.#count += 1;
    // Each field has a unique alias, because two fields with different arguments must not share one.
    const alias = `${this.#pick(this.#vocabulary.aliases)}${this.#count}`;
    const given = field.args.flatMap(({ name, type }) =>
      isNonNullType(type) || this.#dice(2) === 0 ? [`${name}: ${this.#argument(type, name)}`] : [],
    );
    const named = getNamedType(field.type);
    const below = isCompositeType(named) ? ` { ${this.#selections(named, depth + 1)} }` : '';
    return `${alias}: ${field.name}${given.length === 0 ? '' : `(${given.join(', ')})`}${this.#directive()}${below}`;
  }

  #directive(): string {
    const choice = this.#dice(14);
    if (choice > 1) return '';
    const condition =
      this.#dice(3) === 0 ? String(this.#dice(2) === 0) : this.#variable('Boolean!', this.#dice(2) === 0);
    return ` @${choice === 0 ? 'skip' : 'include'}(if: ${condition})`;
  }

  #argument(type: GraphQLInputType, name: string): string {
    const value = this.#value(type, name);
    return this.#dice(3) === 0 && !isInputObjectType(getNamedType(type))
      ? this.#variable(String(type), value)
      : print(type, value);
  }

  #variable(type: string, value: unknown): string {
    const shared = [...this.#variables].find(([, known]) => known.type === type && type === 'Boolean!');
    if (shared !== undefined && this.#dice(2) === 0) return `$${shared[0]}`;
    this.#count += 1;
    const name = `v${this.#count}`;
    this.#variables.set(name, { type, value });
    return `$${name}`;
  }

  #value(type: GraphQLInputType, name: string): unknown {
    const inner = getNullableType(type);
    if (isListType(inner)) {
      return Array.from({ length: this.#dice(4) }, () => this.#value(inner.ofType, name));
    }
    if (isEnumType(inner)) return this.#pick(inner.getValues()).name;
    if (isInputObjectType(inner)) {
      const fields = Object.values(inner.getFields()).filter(
        (field) => isNonNullType(field.type) || this.#dice(3) === 0,
      );
      return Object.fromEntries(fields.map((field) => [field.name, this.#value(field.type, field.name)]));
    }
    if (inner.name === 'ID') return this.#pick(this.#vocabulary.ids);
    if (inner.name === 'Int')
      return this.#dice(name === 'first' || name === 'last' ? 6 : 30) - (this.#dice(12) === 0 ? 20 : 0);
    if (inner.name === 'Boolean') return this.#dice(2) === 0;
    if (inner.name === 'DateTime') return '2026-11-22T10:29:00.000Z';
    return inner.name === 'JSON' ? {} : this.#pick(this.#vocabulary.texts);
  }
}

/** Formats a value for a document, where enum values have no quotes. */
function print(type: GraphQLInputType, value: unknown): string {
  const inner = getNullableType(type);
  if (isListType(inner) && Array.isArray(value))
    return `[${value.map((each) => print(inner.ofType, each)).join(', ')}]`;
  if (isEnumType(inner)) return String(value);
  if (!isInputObjectType(inner)) return JSON.stringify(value);
  const fields = inner.getFields();
  const given = Object.entries(value ?? {}).flatMap(([name, each]) => {
    const field = fields[name];
    return field === undefined ? [] : [`${name}: ${print(field.type, each)}`];
  });
  return `{ ${given.join(', ')} }`;
}
