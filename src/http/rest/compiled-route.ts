import {
  isInputType,
  isNonNullType,
  Kind,
  TypeInfo,
  typeFromAST,
  valueFromAST,
  visit,
  visitWithTypeInfo,
  type GraphQLInputType,
  type GraphQLSchema,
  type OperationDefinitionNode,
  type VariableDefinitionNode,
} from 'graphql';
import type { PreparedOperation } from '../../api/document.ts';
import { prepareStored } from './fragment.ts';
import { parametersIn, type Route } from './route.ts';

/** A variable of a route's document, in the form in which clients send it. */
export type Input = {
  name: string;
  place: 'path' | 'query' | 'body';
  type: GraphQLInputType;
  isRequired: boolean;
  /** Undefined if there is no default value. */
  defaultValue: unknown;
  /**
   * The argument or input field in which the variable is used. Error messages of the API refer to the variable by this
   * name.
   */
  target: string;
  description: string | null;
};

/** A route with its parsed document and the inputs of that document. */
export type CompiledRoute = { route: Route; operation: PreparedOperation; inputs: readonly Input[] };

const compiled = new WeakMap<Route, { schema: GraphQLSchema; result: CompiledRoute }>();

/** Compiles a route on its first use. Throws if its document is not valid. */
export function compileRoute(schema: GraphQLSchema, route: Route): CompiledRoute {
  const known = compiled.get(route);
  if (known?.schema === schema) return known.result;
  const prepared = prepareStored(schema, route.document);
  const result = { route, operation: prepared, inputs: findInputs(schema, route, prepared.operation) };
  compiled.set(route, { schema, result });
  return result;
}

function findInputs(schema: GraphQLSchema, route: Route, operation: OperationDefinitionNode): Input[] {
  const inPath = new Set(parametersIn(route.path));
  const hasBody = route.method !== 'GET' && route.method !== 'DELETE';
  const uses = findUses(schema, operation);
  return (operation.variableDefinitions ?? []).map((definition) => {
    const name = definition.variable.name.value;
    const use = uses.get(name);
    const type = inputTypeOf(schema, definition);
    const defaultValue = definition.defaultValue && valueFromAST(definition.defaultValue, type);
    return {
      name,
      place: inPath.has(name) ? 'path' : hasBody ? 'body' : 'query',
      type,
      isRequired: isNonNullType(type) && defaultValue === undefined,
      defaultValue,
      target: use?.target ?? name,
      description: use?.description ?? null,
    };
  });
}

function inputTypeOf(schema: GraphQLSchema, { type: node }: VariableDefinitionNode): GraphQLInputType {
  const type = typeFromAST(schema, node);
  if (!isInputType(type)) throw new Error('a variable has no input type');
  return type;
}

/** Finds the argument or input field whose value each variable provides. */
function findUses(schema: GraphQLSchema, operation: OperationDefinitionNode) {
  const uses = new Map<string, { target: string; description: string | null }>();
  const info = new TypeInfo(schema);
  const visitor = visitWithTypeInfo(info, {
    Argument: ({ name, value }) => {
      if (value.kind !== Kind.VARIABLE) return;
      const description = info.getArgument()?.description ?? null;
      if (!uses.has(value.name.value)) uses.set(value.name.value, { target: name.value, description });
    },
    ObjectField: ({ name, value }) => {
      const description = fieldDescription(info, name.value);
      if (value.kind === Kind.VARIABLE) uses.set(value.name.value, { target: name.value, description });
    },
  });
  visit(operation, visitor);
  return uses;
}

function fieldDescription(info: TypeInfo, name: string): string | null {
  const parent = info.getParentInputType();
  if (parent == null || !('getFields' in parent)) return null;
  return parent.getFields()[name]?.description ?? null;
}
