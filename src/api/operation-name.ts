import { Kind, type SelectionSetNode } from 'graphql';
import type { PreparedOperation } from './document.ts';

const names = new WeakMap<object, string>();

/**
 * Returns the name of an operation in metrics and traces: its root field, e.g. `sendMessage`, or `several`. Names come
 * from the schema, never from clients, so their number is limited.
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

/** The root fields found so far, and the names of the fragments visited so far. */
type Found = { fields: Set<string>; seen: Set<string> };

/**
 * Adds the root fields to `found`. Visits each fragment only once, because otherwise each fragment that spreads the
 * next one twice would double the time. The document is valid, so its fragments exist and contain no cycles.
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
