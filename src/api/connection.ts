import { defaultPageSize, encodeCursor, type ConnectionArgs, type List, type Page } from '../postgres/page.ts';

/** A page of that list in the shape of the Relay specification. `keyOf` gives a row's place in the list. */
export function toConnection<Row>(list: List, page: Page<Row>, keyOf: (row: Row) => (bigint | number)[]) {
  return fromEdges(
    page,
    page.rows.map((node) => ({ cursor: encodeCursor(list, keyOf(node)), node })),
  );
}

/** The same, of edges whose cursors are of another sort. */
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

/** A list costs what its largest page holds. */
export function pageComplexity(args: ConnectionArgs): { field: number; multiplier: number } {
  const size = args.first ?? args.last ?? defaultPageSize;
  return { field: 1, multiplier: Math.max(1, size) };
}
