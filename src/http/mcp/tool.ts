import type { CallToolResult, Tool as Listed } from '@modelcontextprotocol/sdk/types.js';
import { isNonNullType, OperationTypeNode, typeFromAST, type ExecutionResult, type GraphQLSchema } from 'graphql';
import { DocumentCache, type PreparedOperation } from '../../api/document.ts';
import { isRecord } from '../../core/json.ts';
import { onceFor } from '../../core/once.ts';
import { tools, type Tool } from './tool-table.ts';

/** A tool with its prepared operation and its entry in the list that clients receive. */
export type CompiledTool = { operation: PreparedOperation; listed: Listed };

/**
 * Compiles all tools. The keys of the returned map are the names of the tools. Throws if a document is not valid, or if
 * an argument is not described.
 */
export const compileTools = onceFor((schema: GraphQLSchema): ReadonlyMap<string, CompiledTool> => {
  const documents = new DocumentCache(schema);
  return new Map(
    tools.map((tool) => {
      const operation = documents.prepare(tool.document, null, { isKnown: true });
      if ('errors' in operation) throw new Error(`the tool ${tool.name} is not valid: ${operation.errors[0]?.message}`);
      return [tool.name, { operation, listed: describe(schema, tool, operation) }];
    }),
  );
});

function describe(schema: GraphQLSchema, tool: Tool, { operation }: PreparedOperation): Listed {
  const variables = operation.variableDefinitions ?? [];
  const required: string[] = [];
  const properties: Record<string, object> = {};
  for (const { variable, type } of variables) {
    const name = variable.name.value;
    const description = tool.arguments[name];
    if (description === undefined) throw new Error(`the argument ${name} of the tool ${tool.name} is not described`);
    const input = typeFromAST(schema, type);
    if (isNonNullType(input)) required.push(name);
    const isInteger = String(input).startsWith('Int');
    properties[name] = { type: isInteger ? 'integer' : 'string', description };
  }
  const isReadOnly = operation.operation === OperationTypeNode.QUERY;
  return {
    name: tool.name,
    title: tool.title,
    description: tool.description,
    inputSchema: { type: 'object', properties, required, additionalProperties: false },
    annotations: { readOnlyHint: isReadOnly, destructiveHint: false, openWorldHint: false },
  };
}

/** Returns the result of a tool call: the result of the operation, or the reason why the operation failed. */
export function resultOf({ data, errors }: ExecutionResult): CallToolResult {
  if (errors !== undefined || data == null) {
    const text = errors?.map(({ message }) => message).join('\n') ?? 'There is no answer.';
    return { content: [{ type: 'text', text }], isError: true };
  }
  const hasFailed = Object.values(data).some((member) => isRecord(member) && 'code' in member && 'message' in member);
  return { content: [{ type: 'text', text: JSON.stringify(data) }], ...(hasFailed && { isError: true }) };
}
