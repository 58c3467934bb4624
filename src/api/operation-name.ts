import { Kind, type SelectionSetNode } from 'graphql';
import type { PreparedOperation } from './document.ts';

const names = new WeakMap<object, string>();

/**
 * What an operation is called in metrics and traces: its root field, e.g. `sendMessage`, or `several`. The names are
 * those of the schema, never ones that clients choose, so there are only so many.
 */
export function operationNameOf(prepared: PreparedOperation): string {
  let name = names.get(prepared.operation);
  if (name === undefined) {
    const fields = new Set<string>();
    collectFields(prepared, prepared.operation.selectionSet, fields);
    const [only] = fields;
    name = fields.size === 1 && only !== undefined ? only : 'several';
    names.set(prepared.operation, name);
  }
  return name;
}

/** The document is valid: its fragments exist and contain no circles. */
function collectFields(prepared: PreparedOperation, { selections }: SelectionSetNode, fields: Set<string>): void {
  for (const selection of selections) {
    if (fields.size > 1) return;
    if (selection.kind === Kind.FIELD) fields.add(selection.name.value);
    else if (selection.kind === Kind.INLINE_FRAGMENT) collectFields(prepared, selection.selectionSet, fields);
    else {
      const { value } = selection.name;
      for (const definition of prepared.document.definitions) {
        if (definition.kind === Kind.FRAGMENT_DEFINITION && definition.name.value === value)
          collectFields(prepared, definition.selectionSet, fields);
      }
    }
  }
}
