import {
  getArgumentValues,
  isObjectType,
  Kind,
  type FieldNode,
  type GraphQLResolveInfo,
  type SelectionSetNode,
} from 'graphql';

/**
 * Returns the arguments with which an operation selects a field of the object that is being resolved, so that one
 * statement can read both the object and the field. Returns null if the operation does not select the field, selects it
 * twice, or selects it only under a condition. The field then reads its own data.
 */
export function argumentsAhead(
  info: GraphQLResolveInfo,
  typeName: string,
  name: string,
): Record<string, unknown> | null {
  const type = info.schema.getType(typeName);
  const field = isObjectType(type) ? type.getFields()[name] : undefined;
  const found = info.fieldNodes.flatMap(({ selectionSet }) => findFields(info, selectionSet, { typeName, name }));
  const [node] = found;
  if (field === undefined || node === undefined || node === null || found.length > 1) return null;
  try {
    return getArgumentValues(field, node, info.variableValues);
  } catch {
    // The field itself reports the error.
    return null;
  }
}

/** Returns the nodes that select the field, with null in place of each conditional node. */
function findFields(
  info: GraphQLResolveInfo,
  set: SelectionSetNode | undefined,
  wanted: { typeName: string; name: string },
): (FieldNode | null)[] {
  return (set?.selections ?? []).flatMap((selection) => {
    const hasCondition = (selection.directives ?? []).length > 0;
    if (selection.kind === Kind.FIELD) {
      if (selection.name.value !== wanted.name) return [];
      return [hasCondition ? null : selection];
    }
    const fragment = selection.kind === Kind.INLINE_FRAGMENT ? selection : info.fragments[selection.name.value];
    const condition = fragment?.typeCondition?.name.value ?? wanted.typeName;
    const found = findFields(info, fragment?.selectionSet, wanted);
    if (condition !== wanted.typeName && condition !== 'Node') return [];
    return hasCondition ? found.map(() => null) : found;
  });
}

const namesKnown = new WeakMap<readonly FieldNode[], Map<string, ReadonlySet<string>>>();

/**
 * Returns the names of the fields that an operation selects at the end of a path. The path starts at the field that is
 * being resolved. Ignores conditions, because the names are only a hint about what to read in the same statement.
 */
export function namesAhead(info: GraphQLResolveInfo, path: readonly string[]): ReadonlySet<string> {
  const ofNodes = namesKnown.get(info.fieldNodes) ?? new Map<string, ReadonlySet<string>>();
  namesKnown.set(info.fieldNodes, ofNodes);
  const key = path.join('.');
  let names = ofNodes.get(key);
  if (names === undefined) {
    let nodes: readonly FieldNode[] = info.fieldNodes;
    for (const name of path) nodes = fieldsOf(info, nodes).filter((node) => node.name.value === name);
    names = new Set(fieldsOf(info, nodes).map((node) => node.name.value));
    ofNodes.set(key, names);
  }
  return names;
}

/**
 * Returns the fields that are selected directly below these nodes. The fragments of a valid document have no cycles.
 */
function fieldsOf(info: GraphQLResolveInfo, nodes: readonly FieldNode[]): FieldNode[] {
  const seen = new Set<SelectionSetNode>();
  const fields: FieldNode[] = [];
  const look = (set: SelectionSetNode | undefined) => {
    // Spreading a fragment a second time selects the same fields.
    if (set === undefined || seen.has(set)) return;
    seen.add(set);
    for (const selection of set.selections) {
      if (selection.kind === Kind.FIELD) fields.push(selection);
      else if (selection.kind === Kind.INLINE_FRAGMENT) look(selection.selectionSet);
      else look(info.fragments[selection.name.value]?.selectionSet);
    }
  };
  for (const { selectionSet } of nodes) look(selectionSet);
  return fields;
}
