import {
  getArgumentValues,
  isObjectType,
  Kind,
  type FieldNode,
  type GraphQLResolveInfo,
  type SelectionSetNode,
} from 'graphql';

/**
 * The arguments with which an operation selects a field of the object that is being resolved, so that one statement can
 * read both. Null if it does not select the field, or selects it twice, or only under a condition: then the field
 * reads for itself.
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
    // The field reports it.
    return null;
  }
}

/** The nodes that select the field; null for one with a condition. */
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
