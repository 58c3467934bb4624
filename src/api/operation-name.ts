import { Kind, type SelectionSetNode } from 'graphql';
import type { PreparedOperation } from './document.ts';

const names = new WeakMap<object, string>();

/**
 * What an operation is called in metrics and traces: its root field, e.g. `sendMessage`, or `several`. The names are
 * those of the schema, never ones that clients choose, so their number is limited.
 */
export function operationNameOf(prepared: PreparedOperation): string {
  let name = names.get(prepared.operation);
  if (name === undefined) {
    const fields = new Set<string>();
    collectFields(prepared, prepared.operation.selectionSet, { fields, seen: new Set() });
    const [only] = fields;
    name = fields.size === 1 && only !== undefined ? only : 'several';
    names.set(prepared.operation, name);
  }
  return name;
}

/** The root fields that were found, and the names of the fragments that were visited. */
type Found = { fields: Set<string>; seen: Set<string> };

/**
 * The document is valid: its fragments exist and contain no cycles. Each fragment is visited once: otherwise, each
 * fragment that spreads the next one twice would double the time.
 */
function collectFields(prepared: PreparedOperation, { selections }: SelectionSetNode, found: Found): void {
  for (const selection of selections) {
    if (found.fields.size > 1) return;
    if (selection.kind === Kind.FIELD) found.fields.add(selection.name.value);
    else if (selection.kind === Kind.INLINE_FRAGMENT) collectFields(prepared, selection.selectionSet, found);
    else {
      const { value } = selection.name;
      if (found.seen.has(value)) continue;
      found.seen.add(value);
      for (const definition of prepared.document.definitions) {
        if (definition.kind === Kind.FRAGMENT_DEFINITION && definition.name.value === value)
          collectFields(prepared, definition.selectionSet, found);
      }
    }
  }
}
