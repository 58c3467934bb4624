/** Returns the selection of a connection that is read from its start; `node` is the selection for each entry. */
export function pageOf(node: string): string {
  return `{ edges { node { ${node} } } pageInfo { hasMore: hasNextPage nextCursor: endCursor } }`;
}

/** Returns the selection of a connection that is read from its end, for a route with `isReversed`. */
export function pageFromEnd(node: string): string {
  return `{ edges { node { ${node} } } pageInfo { hasMore: hasPreviousPage nextCursor: startCursor } }`;
}
