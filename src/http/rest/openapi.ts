import {
  isEnumType,
  isObjectType,
  Kind,
  type GraphQLSchema,
  type InlineFragmentNode,
  type SelectionNode,
} from 'graphql';
import { eventsDocument } from './event-document.ts';
import { fixedPaths, signedIn } from './fixed-operation.ts';
import { prepareStored } from './fragment.ts';
import { OperationPrinter, problemSchema } from './operation-printer.ts';
import { tags } from './route.ts';
import { describe, referTo, SchemaPrinter, type JsonSchema } from './schema-printer.ts';
import { routes } from './table.ts';

const description = `Nearly everything here runs a GraphQL document of the same server, with the same rules and limits;
\`/graphql\` can do more. Times are in UTC. Ignore properties, enum values and events that you do not know: more will be added.
You can send enum values in lower case.`;

/**
 * Returns a description of the REST API in OpenAPI 3.1, which is generated from the table of routes and the schema.
 * `version` is the version of the server. https://spec.openapis.org/oas/v3.1.1
 */
export function printOpenApi(schema: GraphQLSchema, version: string): JsonSchema {
  const printer = new SchemaPrinter();
  const paths = printPaths(new OperationPrinter(schema, printer));
  const event = printEvent(schema, printer);
  const fieldErrorCode = schema.getType('FieldErrorCode');
  if (isEnumType(fieldErrorCode)) printer.ofParameter(fieldErrorCode);
  const components = [...printer.components, ['Event', event], ['Problem', problemSchema]] as const;
  return {
    openapi: '3.1.0',
    info: { title: 'parley', version, description },
    servers: [{ url: '/' }],
    tags: tags.map((name) => ({ name })),
    paths,
    components: {
      schemas: Object.fromEntries(components.toSorted(([a], [b]) => (a < b ? -1 : 1))),
      responses: {
        Problem: {
          description: 'The request failed; `code` says why.',
          content: { 'application/problem+json': { schema: referTo('Problem') } },
        },
      },
      securitySchemes: {
        token: {
          type: 'http',
          scheme: 'bearer',
          description: 'The `token` of signUp, signIn or refresh, or the secret of an API key.',
        },
        actAs: {
          type: 'apiKey',
          in: 'header',
          name: 'parley-act-as',
          description: `For an API key that has the scope ACT_AS: the user that the key acts as, by id or as \`key:\` and the external key. A server key needs it wherever a user is needed.`,
        },
        streamToken: {
          type: 'apiKey',
          in: 'query',
          name: 'streamToken',
          description: 'See createStreamToken. Valid only for the stream of events.',
        },
      },
    },
    security: [...signedIn],
  };
}

function printPaths(printer: OperationPrinter): JsonSchema {
  const paths = new Map<string, Record<string, unknown>>(
    Object.entries(fixedPaths).map(([path, operations]) => [path, { ...operations }]),
  );
  for (const route of routes) {
    const operations = paths.get(route.path) ?? {};
    operations[route.method.toLowerCase()] = printer.print(route);
    paths.set(route.path, operations);
  }
  return Object.fromEntries(paths);
}

/** Returns the schema of an event, with one alternative for each type that the document selects. */
function printEvent(schema: GraphQLSchema, printer: SchemaPrinter): JsonSchema {
  const { document } = prepareStored(schema, eventsDocument);
  const fragments = new Map(
    document.definitions.flatMap((each) =>
      each.kind === Kind.FRAGMENT_DEFINITION ? [[each.name.value, each] as const] : [],
    ),
  );
  const names = findMembers(document.definitions).map(({ typeCondition, selectionSet }) => {
    const name = typeCondition?.name.value ?? '';
    const type = schema.getType(name);
    if (!isObjectType(type)) throw new Error(`${name} is not an event`);
    const { properties } = printer.ofFields(selectionSet.selections, type, fragments);
    const all = { type: { const: name }, at: { type: 'string', format: 'date-time' }, ...properties };
    const object = { type: 'object', required: Object.keys(all), properties: all };
    printer.components.set(name, describe(object, type.description));
    return name;
  });
  const mapping = Object.fromEntries(names.map((name) => [name, `#/components/schemas/${name}`]));
  return {
    description: 'What happened, as `/api/events` sends it.',
    oneOf: names.map(referTo),
    discriminator: { propertyName: 'type', mapping },
  };
}

/** Returns the inline fragments on event types, which are at the deepest level of the subscription. */
function findMembers(nodes: readonly unknown[]): InlineFragmentNode[] {
  const [operation] = nodes as { selectionSet?: { selections: readonly SelectionNode[] } }[];
  const below = operation?.selectionSet?.selections ?? [];
  const members = below.filter((each): each is InlineFragmentNode => each.kind === Kind.INLINE_FRAGMENT);
  if (members.length > 0) return members;
  return findMembers(below.filter((each) => each.kind === Kind.FIELD && each.selectionSet !== undefined));
}
