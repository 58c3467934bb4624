import { createHash } from 'node:crypto';
import {
  getOperationAST,
  GraphQLError,
  Kind,
  print,
  visit,
  type DocumentNode,
  type FieldNode,
  type GraphQLSchema,
  type OperationDefinitionNode,
} from 'graphql';
import { LRUCache } from 'lru-cache';
import { parseDocument, validateDocument } from './request.ts';

const maxCachedDocuments = 1_000;
const maxCachedCharacters = 10_000_000;

/** One operation of a valid document. */
export type PreparedOperation = { document: DocumentNode; operation: OperationDefinitionNode };

/** The operation, or what is wrong with the request for it. */
export type Preparation = PreparedOperation | { errors: GraphQLError[] };

/** Parses and validates each text once, however many send it. */
export class DocumentCache {
  readonly #schema: GraphQLSchema;
  readonly #documents = new LRUCache<string, { document: DocumentNode } | { errors: GraphQLError[] }>({
    max: maxCachedDocuments,
    maxSize: maxCachedCharacters,
    sizeCalculation: (_, source) => source.length + 1,
  });

  constructor(schema: GraphQLSchema) {
    this.#schema = schema;
  }

  /** The operation that a request names. The same text gives the same document object each time. */
  prepare(source: string, operationName: string | null): Preparation {
    let known = this.#documents.get(source);
    if (known === undefined) {
      known = this.#read(source);
      this.#documents.set(source, known);
    }
    if ('errors' in known) return known;
    const operation = getOperationAST(known.document, operationName);
    if (operation == null) {
      return {
        errors: [
          new GraphQLError(
            operationName === null ? 'Say which operation: the document has several.' : 'There is no such operation.',
          ),
        ],
      };
    }
    return { document: known.document, operation };
  }

  #read(source: string): { document: DocumentNode } | { errors: GraphQLError[] } {
    try {
      const document = parseDocument(source);
      const errors = validateDocument(this.#schema, document);
      return errors.length > 0 ? { errors: [...errors] } : { document };
    } catch (error) {
      if (error instanceof GraphQLError) return { errors: [error] };
      throw error;
    }
  }
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
