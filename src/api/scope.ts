import {
  getNamedType,
  GraphQLError,
  isCompositeType,
  isObjectType,
  Kind,
  OperationTypeNode,
  type DocumentNode,
  type FieldNode,
  type FragmentDefinitionNode,
  type FragmentSpreadNode,
  type GraphQLCompositeType,
  type GraphQLSchema,
  type InlineFragmentNode,
  type OperationDefinitionNode,
  type SelectionSetNode,
} from 'graphql';
import { isBot, opens, type Asker, type Caller, type Program } from '../core/asker.ts';
import { Forbidden } from '../errors.ts';
import { demandAsker, type Context } from './context.ts';
import type { PreparedOperation } from './document.ts';
import { fieldAccess, rootAccess, typeAccess, type Access } from './scope-table.ts';

/**
 * Throws Forbidden, with the reason, if the program may not use this query or mutation. Does not restrict users on a
 * device.
 */
export function refuseRootField(context: Pick<Context, 'asker'>, root: 'Query' | 'Mutation', name: string): void {
  const program = programOf(context.asker);
  if (program === null) return;
  const refusal = refusalOf(program, rootAccess[root][name] ?? 'DEVICE');
  if (refusal !== null) throw new Forbidden(refusal);
}

/**
 * Returns the asker of a request that is not a GraphQL operation. A program needs the given scopes to send such a
 * request. Throws Forbidden if the program lacks them, and throws the errors of `demandAsker`.
 */
export function demandAllowed(identify: () => Caller | null, access: Access): Asker {
  const asker = demandAsker(identify);
  const refusal = asker.kind === 'KEY' ? refusalOf(asker, access) : null;
  if (refusal !== null) throw new Forbidden(refusal);
  return asker;
}

/**
 * Returns the error for an operation that selects, at any depth, something for which its program lacks a scope, or null
 * if it selects nothing of the kind. Call this function before you execute any part of the operation. Ignores queries
 * and mutations that the program may not use at all: `refuseRootField` refuses them with a Forbidden that fits their
 * result unions.
 */
export function judgeScopes(
  schema: GraphQLSchema,
  operation: PreparedOperation,
  context: Pick<Context, 'asker'>,
): GraphQLError | null {
  const program = programOf(context.asker);
  if (program === null) return null;
  const root = rootAccess[rootNames[operation.operation.operation]];
  const isSubscription = operation.operation.operation === OperationTypeNode.SUBSCRIPTION;
  for (const [name, needs] of needsOf(schema, operation)) {
    const refusal = refusalOf(program, root[name] ?? 'DEVICE');
    if (refusal !== null && isSubscription) return forbid(name, refusal);
    if (refusal !== null) continue;
    for (const [place, access] of needs) {
      const lacking = refusalOf(program, access);
      if (lacking !== null) return forbid(place, lacking);
    }
  }
  return null;
}

const rootNames = {
  [OperationTypeNode.QUERY]: 'Query',
  [OperationTypeNode.MUTATION]: 'Mutation',
  [OperationTypeNode.SUBSCRIPTION]: 'Subscription',
} as const;

function forbid(place: string, refusal: string): GraphQLError {
  return new GraphQLError(`${place}: ${refusal}`, { extensions: { code: 'FORBIDDEN' } });
}

/**
 * Returns the program that makes a request. Returns null for a user on a device, for a request without a token, and for
 * one with a bad token, which other code refuses.
 */
function programOf(identify: () => Caller | null): Program | null {
  try {
    const caller = identify();
    return caller?.kind === 'KEY' ? caller : null;
  } catch {
    return null;
  }
}

/** Returns why the program may not use something that requires this access, or null if it may. */
function refusalOf(program: Program, access: Access): string | null {
  if (access === 'ANYONE') return null;
  if (access === 'DEVICE') return 'Only a user who is signed in can do this, not a program with an API key.';
  const isActing = program.userId !== null && program.isActing;
  if (access.isNeverActing === true && isActing) return 'A program cannot do this while it acts as a user.';
  if (access.isOwn === true && isBot(program)) return null;
  const needed = 'any' in access ? access.any : access.all;
  const lacking = needed.filter((scope) => !opens(program, scope));
  if (lacking.length === 0 || ('any' in access && lacking.length < needed.length)) return null;
  const isOne = lacking.length === 1;
  return `This API key lacks the scope${isOne ? '' : 's'} ${lacking.join('any' in access ? ' or ' : ' and ')}.`;
}

/**
 * For each root field of an operation, the fields that it selects and that require a scope. Each field is listed once.
 */
type Needs = ReadonlyMap<string, ReadonlyMap<string, Access>>;

const known = new WeakMap<OperationDefinitionNode, Needs>();

function needsOf(schema: GraphQLSchema, operation: PreparedOperation): Needs {
  const found = known.get(operation.operation);
  if (found !== undefined) return found;
  const root = schema.getRootType(operation.operation.operation);
  const look = new Look(schema, operation.document);
  if (root != null) look.atRoot(operation.operation.selectionSet, root, new Set());
  known.set(operation.operation, look.needs);
  return look.needs;
}

/**
 * Collects the fields that a valid document selects. The time for each root field is linear in the document's length.
 */
class Look {
  readonly needs = new Map<string, Map<string, Access>>();
  readonly #schema: GraphQLSchema;
  readonly #fragments = new Map<string, FragmentDefinitionNode>();

  constructor(schema: GraphQLSchema, document: DocumentNode) {
    this.#schema = schema;
    for (const each of document.definitions) {
      if (each.kind === Kind.FRAGMENT_DEFINITION) this.#fragments.set(each.name.value, each);
    }
  }

  atRoot(set: SelectionSetNode, root: GraphQLCompositeType, seen: Seen): void {
    for (const selection of set.selections) {
      if (selection.kind !== Kind.FIELD) {
        const fragment = this.#fragmentOf(selection);
        // Visits each fragment only once. Otherwise, each fragment that spreads the next one twice would double the
        // time.
        if (fragment === undefined || seen.has(fragment)) continue;
        seen.add(fragment);
        this.atRoot(fragment.selectionSet, root, seen);
        continue;
      }
      const name = selection.name.value;
      if (name.startsWith('__')) continue;
      const needs = this.needs.get(name) ?? new Map<string, Access>();
      this.needs.set(name, needs);
      this.#below(selection, root, { needs, seen: new Set() });
    }
  }

  #below(field: FieldNode, type: GraphQLCompositeType, found: Found): void {
    const definition = 'getFields' in type ? type.getFields()[field.name.value] : undefined;
    const below = definition === undefined ? undefined : getNamedType(definition.type);
    if (field.selectionSet === undefined || !isCompositeType(below)) return;
    if (field.name.value !== 'avatar') this.#selected(field.selectionSet, below, found);
    else this.#inAvatar(field.selectionSet, below, found);
  }

  /** An avatar requires the scopes of its user or chat, not those of message files. */
  #inAvatar(set: SelectionSetNode, type: GraphQLCompositeType, found: Found): void {
    const needs = new Map<string, Access>();
    this.#selected(set, type, { needs, seen: new Set() });
    for (const [place, access] of needs) if (!place.startsWith('File.')) found.needs.set(place, access);
  }

  #selected(set: SelectionSetNode, type: GraphQLCompositeType, found: Found): void {
    for (const selection of set.selections) {
      if (selection.kind === Kind.FIELD) {
        const name = selection.name.value;
        const access = accessTo(type, name);
        if (access !== 'ANYONE') found.needs.set(`${type.name}.${name}`, access);
        this.#below(selection, type, found);
        continue;
      }
      const fragment = this.#fragmentOf(selection);
      if (fragment === undefined || found.seen.has(fragment)) continue;
      // A fragment applies to the type that it names, so it requires the same scopes wherever it is spread.
      if (fragment.kind === Kind.FRAGMENT_DEFINITION) found.seen.add(fragment);
      const condition = fragment.typeCondition?.name.value;
      const named = condition === undefined ? type : this.#schema.getType(condition);
      if (isCompositeType(named)) this.#selected(fragment.selectionSet, named, found);
    }
  }

  #fragmentOf(
    selection: InlineFragmentNode | FragmentSpreadNode,
  ): InlineFragmentNode | FragmentDefinitionNode | undefined {
    return selection.kind === Kind.INLINE_FRAGMENT ? selection : this.#fragments.get(selection.name.value);
  }
}

/** The fragments visited so far. */
type Seen = Set<InlineFragmentNode | FragmentDefinitionNode>;

/** The fields found below one root field. */
type Found = { needs: Map<string, Access>; seen: Seen };

/**
 * Returns the access that a program needs for a field below the root. All fields of an interface are available without
 * a scope.
 */
function accessTo(type: GraphQLCompositeType, field: string): Access {
  if (!isObjectType(type) || field === 'id' || field.startsWith('__') || type.name.startsWith('__')) return 'ANYONE';
  return fieldAccess[`${type.name}.${field}`] ?? typeAccess[nodeTypeOf(type.name)] ?? 'DEVICE';
}

function nodeTypeOf(name: string): string {
  return name.replace(/(Connection|Edge)$/, '');
}

/** Returns the root fields and the types of the schema that the tables do not mention. */
export function findUngoverned(schema: GraphQLSchema): string[] {
  const roots = Object.entries(rootAccess).flatMap(([root, access]) => {
    const type = schema.getType(root);
    const names = isObjectType(type) ? Object.keys(type.getFields()) : [];
    return names.filter((name) => access[name] === undefined).map((name) => `${root}.${name}`);
  });
  const types = Object.values(schema.getTypeMap())
    .filter(isObjectType)
    .map(({ name }) => name)
    .filter((name) => !name.startsWith('__') && !Object.hasOwn(rootAccess, name))
    .filter((name) => typeAccess[nodeTypeOf(name)] === undefined);
  return [...roots, ...types];
}
