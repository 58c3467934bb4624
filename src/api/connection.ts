import { defaultPageSize, encodeCursor, type ConnectionArgs, type List, type Page } from '../postgres/page.ts';

/**
 * Converts a page of a list to a connection, as defined by the Relay specification. `keyOf` returns the position of a
 * row in the list.
 */
export function toConnection<Row>(list: List, page: Page<Row>, keyOf: (row: Row) => (bigint | number)[]) {
  return fromEdges(
    page,
    page.rows.map((node) => ({ cursor: encodeCursor(list, keyOf(node)), node })),
  );
}

/** Builds a connection from edges that already have a cursor of another kind. */
export function fromEdges<Row>(
  page: Pick<Page<unknown>, 'hasNextPage' | 'hasPreviousPage'>,
  edges: { cursor: string; node: Row }[],
) {
  return {
    edges,
    pageInfo: {
      hasNextPage: page.hasNextPage,
      hasPreviousPage: page.hasPreviousPage,
      startCursor: edges[0]?.cursor ?? null,
      endCursor: edges.at(-1)?.cursor ?? null,
    },
  };
}

/** Returns the complexity of a list, which is the complexity of a full page. */
export function pageComplexity(args: ConnectionArgs): { field: number; multiplier: number } {
  const size = args.first ?? args.last ?? defaultPageSize;
  return { field: 1, multiplier: Math.max(1, size) };
}
