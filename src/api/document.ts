import { createHash } from 'node:crypto';
import {
  getOperationAST,
  GraphQLError,
  Kind,
  NoFragmentCyclesRule,
  parse,
  print,
  validate,
  visit,
  type DocumentNode,
  type FieldNode,
  type GraphQLSchema,
  type OperationDefinitionNode,
} from 'graphql';
import { LRUCache } from 'lru-cache';
import { badRequest } from './error.ts';
import { requestLimits } from './request.ts';

/** How much memory the cache may use, in bytes, for the documents of signed-in users and for all others. */
const cacheLimits = { known: 48 * 1024 * 1024, strangers: 4 * 1024 * 1024 };

/**
 * Used to estimate the memory of a cached document. The actual use is 49 to 99 % of the estimate, measured with fields,
 * fragments, arguments, variables, lists, strings and comments (test/api/document.test.ts).
 */
const bytesPerDocument = 1_000;
const bytesPerNode = 210;
const bytesPerCharacter = 2;

/** How many bytes the hash of a registered document adds, because it is stored as a key and as a value. */
const bytesPerHash = 300;

/** One operation of a valid document. */
export type PreparedOperation = { document: DocumentNode; operation: OperationDefinitionNode };

/** The operation, or the errors that prevent it. */
export type Preparation = PreparedOperation | { errors: readonly GraphQLError[] };

/** Describes the sender of a document. `isKnown`: whether the sender is signed in. */
export type Sender = { isKnown: boolean };

/** The documents of the operator's manifest. */
export type TrustedDocuments = {
  /** Whether clients may run only these documents. */
  isOnly: boolean;
  /** The text of each document, under its id in the manifest and under its SHA-256 hash in lower-case hex. */
  texts: ReadonlyMap<string, string>;
  /** The parsed document of each text. */
  documents: ReadonlyMap<string, DocumentNode>;
};

/** `hash`: the hash by which clients may refer to the document, if a client has registered it. */
type Cached = { document: DocumentNode; bytes: number; hash?: string };

/**
 * Parses and validates each text only once, no matter how many requests send it or in which form they do so. Invalid
 * documents are not cached. Documents from clients that are not signed in may use only a small share of the memory, and
 * evict only other documents from such clients. A registered document can be referred to by its hash as long as it
 * stays in the cache.
 */
export class DocumentCache {
  /** The documents of the operator's manifest, which are never evicted; null if there is no manifest. */
  readonly trusted: TrustedDocuments | null;
  readonly #schema: GraphQLSchema;
  /** The texts of the registered documents, by hash. */
  readonly #registered = new Map<string, string>();
  readonly #known = createCache(cacheLimits.known, ({ hash }) => {
    if (hash !== undefined) this.#registered.delete(hash);
  });
  readonly #strangers = createCache(cacheLimits.strangers);
  /** The errors of each invalid document, which are kept only while a request is using the document. */
  readonly #errors = new WeakMap<DocumentNode, readonly GraphQLError[]>();

  constructor(schema: GraphQLSchema, trusted: TrustedDocuments | null = null) {
    this.#schema = schema;
    this.trusted = trusted;
  }

  /** The estimated size of the cached documents, in bytes. */
  get keptBytes(): { known: number; strangers: number } {
    return { known: this.#known.calculatedSize, strangers: this.#strangers.calculatedSize };
  }

  /**
   * Prepares the operation that a request names. The same text yields the same document object as long as it stays in
   * the cache.
   */
  prepare(source: string, operationName: string | null, sender: Sender): Preparation {
    let document: DocumentNode;
    try {
      document = this.parse(source, sender);
    } catch (error) {
      if (error instanceof GraphQLError) return { errors: [error] };
      throw error;
    }
    const errors = this.validate(document);
    if (errors.length > 0) return { errors };
    const operation = getOperationAST(document, operationName);
    if (operation != null) return { document, operation };
    const message =
      operationName === null
        ? '`operationName` is required: the document has several operations.'
        : 'The document has no operation with this name.';
    return { errors: [badRequest(message, 400)] };
  }

  /** Parses a document, which need not be valid. Throws a GraphQLError if it cannot be parsed. */
  parse(source: string, sender: Sender): DocumentNode {
    const trusted = this.trusted?.documents.get(source);
    if (trusted !== undefined) return trusted;
    const known = this.#known.get(source) ?? this.#strangers.get(source);
    if (known !== undefined) {
      if (sender.isKnown && !this.#known.has(source)) this.#known.set(source, known);
      return known.document;
    }
    const { document, errors, bytes } = readDocument(this.#schema, source);
    if (errors.length > 0) {
      this.#errors.set(document, errors);
      return document;
    }
    (sender.isKnown ? this.#known : this.#strangers).set(source, { document, bytes });
    return document;
  }

  /** Returns the errors of a document that `parse` returned. */
  validate(document: DocumentNode): readonly GraphQLError[] {
    return this.#errors.get(document) ?? [];
  }

  /**
   * Registers a text under its SHA-256 hash in lower-case hex (which the caller has verified), if the cache contains a
   * document with that text from a signed-in user.
   */
  register(hash: string, source: string): void {
    const cached = this.#known.get(source);
    if (cached === undefined || cached.hash !== undefined) return;
    this.#known.set(source, { ...cached, hash, bytes: cached.bytes + bytesPerHash });
    if (this.#known.has(source)) this.#registered.set(hash, source);
  }

  /** Returns the text that is registered under a hash; null if there is none. */
  findRegistered(hash: string): string | null {
    return this.#registered.get(hash) ?? null;
  }
}

function createCache(maxBytes: number, onEviction?: (evicted: Cached) => void) {
  return new LRUCache<string, Cached>({
    maxSize: maxBytes,
    sizeCalculation: ({ bytes }) => bytes,
    ...(onEviction && { dispose: onEviction }),
  });
}

/**
 * Parses and validates a text, and estimates the memory of its document in bytes. Throws a GraphQLError if it cannot
 * be parsed.
 */
export function readDocument(
  schema: GraphQLSchema,
  source: string,
): { document: DocumentNode; errors: readonly GraphQLError[]; bytes: number } {
  const document = parse(source, { maxLexicalTokens: requestLimits.maxTokens });
  const errors = findErrors(schema, document);
  const bytes = errors.length > 0 ? 0 : bytesPerDocument + slim(document) + source.length * bytesPerCharacter;
  return { document, errors, bytes };
}

/** Checks for fragment cycles first, because they would cause a stack overflow in another rule. */
function findErrors(schema: GraphQLSchema, document: DocumentNode): readonly GraphQLError[] {
  const circles = validate(schema, document, [NoFragmentCyclesRule]);
  return circles.length > 0 ? circles : validate(schema, document);
}

/**
 * Removes the parts of a document that take most of its memory and are not needed once the document is valid. These
 * parts are the document's list of tokens (errors keep their positions), and the pieces that the lexer joined into a
 * string with escapes (32 bytes each). Returns the estimated memory of the remaining nodes, in bytes.
 */
function slim(document: DocumentNode): number {
  let bytes = 0;
  visit(document, {
    enter: (node) => {
      bytes += bytesPerNode;
      if (node.loc === undefined) return;
      const { start, end, source } = node.loc;
      Reflect.set(node, 'loc', { start, end, source });
      // The value of a single-line string without escapes is a slice of the source, so it takes no additional memory.
      if (node.kind !== Kind.STRING || !(node.block === true || source.body.slice(start, end).includes('\\'))) return;
      bytes += node.value.length * bytesPerCharacter;
      Reflect.set(node, 'value', JSON.parse(JSON.stringify(node.value)));
    },
  });
  return bytes;
}

/**
 * What determines whether two subscriptions have the same results: the text, and the variables that the results use.
 */
export type Shape = { text: string; variables: string[] };

const shapes = new WeakMap<OperationDefinitionNode, Shape>();

/**
 * Returns the shape of a subscription without the arguments of its root field. These arguments select the events but do
 * not affect their form, and `after` differs for every subscriber that resumes.
 */
export function shapeOf(document: DocumentNode, operation: OperationDefinitionNode): Shape {
  let shape = shapes.get(operation);
  if (shape === undefined) {
    shape = readShape(document, operation);
    shapes.set(operation, shape);
  }
  return shape;
}

function readShape(document: DocumentNode, operation: OperationDefinitionNode): Shape {
  const withoutArguments = (field: FieldNode): FieldNode => ({ ...field, arguments: [] });
  const stripped = visit(document, {
    OperationDefinition(node) {
      if (node !== operation) return null;
      return { ...node, variableDefinitions: [], selectionSet: stripRoot(node.selectionSet) };
    },
    FragmentDefinition(node) {
      if (node.typeCondition.name.value !== 'Subscription') return undefined;
      return { ...node, selectionSet: stripRoot(node.selectionSet) };
    },
  });
  function stripRoot(selectionSet: OperationDefinitionNode['selectionSet']): OperationDefinitionNode['selectionSet'] {
    return {
      ...selectionSet,
      selections: selectionSet.selections.map((selection) => {
        if (selection.kind === Kind.FIELD) return withoutArguments(selection);
        return selection.kind === Kind.INLINE_FRAGMENT
          ? { ...selection, selectionSet: stripRoot(selection.selectionSet) }
          : selection;
      }),
    };
  }
  const variables = new Set<string>();
  visit(stripped, { Variable: (node) => void variables.add(node.name.value) });
  // Includes the default values of variables, because the same text with other default values has another meaning.
  const definitions = operation.variableDefinitions?.filter(({ variable }) => variables.has(variable.name.value)) ?? [];
  const text = [stripped, ...definitions].map(print).join('\n');
  return { text: createHash('sha256').update(text).digest('base64'), variables: [...variables].toSorted() };
}

/** Returns whether any selection in the document is specific to that type, as in `... on PresenceChanged`. */
export function asksForType(document: DocumentNode, type: string): boolean {
  let found = false;
  visit(document, { NamedType: ({ name }) => void (found ||= name.value === type) });
  return found;
}

const mentioned = new WeakMap<DocumentNode, Map<string, boolean>>();

/**
 * Returns whether the document has a field of that name anywhere. An operation that might select the field is treated
 * as if it did.
 */
export function mentionsField(document: DocumentNode, name: string): boolean {
  let byName = mentioned.get(document);
  if (byName === undefined) mentioned.set(document, (byName = new Map()));
  let found = byName.get(name);
  if (found === undefined) {
    found = false;
    visit(document, { [Kind.FIELD]: (field) => void (found ||= field.name.value === name) });
    byName.set(name, found);
  }
  return found;
}
