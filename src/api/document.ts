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

/** What the cache may keep, in bytes of memory: of signed-in people's documents, and of everybody else's. */
const cacheLimits = { known: 48 * 1024 * 1024, strangers: 4 * 1024 * 1024 };

/**
 * What a document keeps of memory: 55 to 99 % of this, measured over fields, arguments, lists, nested selections and
 * comments (test/api/document.test.ts).
 */
const bytesPerDocument = 1_000;
const bytesPerNode = 210;
const bytesPerCharacter = 2;

/** One operation of a valid document. */
export type PreparedOperation = { document: DocumentNode; operation: OperationDefinitionNode };

/** The operation, or what is wrong with the request for it. */
export type Preparation = PreparedOperation | { errors: readonly GraphQLError[] };

/** Whose document it is: someone who is signed in, or anyone. */
export type Sender = { isKnown: boolean };

type Cached = { document: DocumentNode; bytes: number };

/**
 * Parses and validates each text once, however many send it and whichever way. Documents that are not valid are not kept;
 * those of strangers have a small share of the memory, which pushes no one else's out.
 */
export class DocumentCache {
  readonly #schema: GraphQLSchema;
  readonly #known = createCache(cacheLimits.known);
  readonly #strangers = createCache(cacheLimits.strangers);
  /** What is wrong with the documents that are in use just now. */
  readonly #errors = new WeakMap<DocumentNode, readonly GraphQLError[]>();

  constructor(schema: GraphQLSchema) {
    this.#schema = schema;
  }

  /** What is kept now, in bytes as weighed. */
  get keptBytes(): { known: number; strangers: number } {
    return { known: this.#known.calculatedSize, strangers: this.#strangers.calculatedSize };
  }

  /** The operation that a request names. The same text gives the same document object as long as it is kept. */
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

  /** The document, valid or not. Throws a GraphQLError for what cannot be parsed. */
  parse(source: string, sender: Sender): DocumentNode {
    const known = this.#known.get(source) ?? this.#strangers.get(source);
    if (known !== undefined) {
      if (sender.isKnown && !this.#known.has(source)) this.#known.set(source, known);
      return known.document;
    }
    const document = parse(source, { maxLexicalTokens: requestLimits.maxTokens });
    const errors = findErrors(this.#schema, document);
    if (errors.length > 0) {
      this.#errors.set(document, errors);
      return document;
    }
    const bytes = bytesPerDocument + dropTokens(document) * bytesPerNode + source.length * bytesPerCharacter;
    (sender.isKnown ? this.#known : this.#strangers).set(source, { document, bytes });
    return document;
  }

  /** What is wrong with a document that this has parsed. */
  validate(document: DocumentNode): readonly GraphQLError[] {
    return this.#errors.get(document) ?? [];
  }
}

function createCache(maxBytes: number) {
  return new LRUCache<string, Cached>({ maxSize: maxBytes, sizeCalculation: ({ bytes }) => bytes });
}

/** Circles of fragments are looked for first: the other rules lose their way in them. */
function findErrors(schema: GraphQLSchema, document: DocumentNode): readonly GraphQLError[] {
  const circles = validate(schema, document, [NoFragmentCyclesRule]);
  return circles.length > 0 ? circles : validate(schema, document);
}

/**
 * Cuts a document off the list of its tokens, which is most of what it keeps and which nothing asks for once it is
 * valid; errors still say where. Returns how many nodes the document has.
 */
function dropTokens(document: DocumentNode): number {
  let nodes = 0;
  visit(document, {
    enter: (node) => {
      nodes += 1;
      if (node.loc === undefined) return;
      const { start, end, source } = node.loc;
      Reflect.set(node, 'loc', { start, end, source });
    },
  });
  return nodes;
}

/** What decides whether two subscriptions have the same results: the text, and the variables that their results use. */
export type Shape = { text: string; variables: string[] };

const shapes = new WeakMap<OperationDefinitionNode, Shape>();

/**
 * The shape of a subscription without its root field's arguments: those say which events to send, not how they look,
 * and `after` differs for everyone who resumes.
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
  // With their defaults: the same text means something else under other ones.
  const definitions = operation.variableDefinitions?.filter(({ variable }) => variables.has(variable.name.value)) ?? [];
  const text = [stripped, ...definitions].map(print).join('\n');
  return { text: createHash('sha256').update(text).digest('base64'), variables: [...variables].toSorted() };
}

/** Whether something in the document is asked for of that type only, as in `... on PresenceChanged`. */
export function asksForType(document: DocumentNode, type: string): boolean {
  let found = false;
  visit(document, { NamedType: ({ name }) => void (found ||= name.value === type) });
  return found;
}

const mentioned = new WeakMap<DocumentNode, Map<string, boolean>>();

/** Whether the document has a field of that name anywhere: an operation that might ask for it is read as if it did. */
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
