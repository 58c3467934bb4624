import type { FieldFunctionOptions, FieldPolicy, Reference } from '@apollo/client';

type Edge = { __typename?: 'MessageEdge'; cursor: string; node: Reference };
type Pages = {
  edges: readonly Edge[];
  pageInfo?: {
    startCursor?: string | null;
    endCursor?: string | null;
    hasPreviousPage?: boolean;
    hasNextPage?: boolean;
  };
};
type ReadField = FieldFunctionOptions['readField'];

/**
 * Merges the pages of `Chat.messages` into one part of the history without gaps, no matter which queries loaded them. A
 * page that is not adjacent to the known messages replaces those messages.
 */
export const messagePages: FieldPolicy<Pages> = {
  keyArgs: false,
  merge: (known, page, { readField }) => (known === undefined ? page : join(known, page, readField)),
};

/**
 * Returns the pages with a new message added at their end. If the end of the history is not loaded, the message would
 * leave a gap, so it is not added.
 */
export function addEdge(pages: Pages | undefined, edge: Edge, readField: ReadField): Pages | undefined {
  if (pages === undefined || pages.pageInfo?.hasNextPage === true) return pages;
  const last = pages.edges.at(-1);
  const seq = seqOf(edge, readField);
  if (last !== undefined && seq !== seqOf(last, readField) + 1) return pages;
  const { cursor } = edge;
  return {
    ...pages,
    edges: [...pages.edges, edge],
    pageInfo: { startCursor: cursor, ...pages.pageInfo, endCursor: cursor },
  };
}

function join(known: Pages, page: Pages, readField: ReadField): Pages {
  const [from, to] = endsOf(page, readField);
  const [first, last] = endsOf(known, readField);
  if (Number.isNaN(first)) return page;
  if (Number.isNaN(from)) return known;
  if (from > last + 1 || to < first - 1) return page;
  const bySeq = new Map([...known.edges, ...page.edges].map((edge) => [seqOf(edge, readField), edge]));
  const edges = [...bySeq].toSorted(([one], [other]) => one - other).map(([, edge]) => edge);
  const start = (from <= first ? page : known).pageInfo;
  const end = (to >= last ? page : known).pageInfo;
  return {
    ...known,
    ...page,
    edges,
    pageInfo: {
      ...known.pageInfo,
      ...page.pageInfo,
      ...(start?.startCursor !== undefined && { startCursor: start.startCursor }),
      ...(start?.hasPreviousPage !== undefined && { hasPreviousPage: start.hasPreviousPage }),
      ...(end?.endCursor !== undefined && { endCursor: end.endCursor }),
      ...(end?.hasNextPage !== undefined && { hasNextPage: end.hasNextPage }),
    },
  };
}

/**
 * Returns the seqs of the first and the last message. They are NaN if there are no messages, or if the seqs are not
 * known.
 */
function endsOf({ edges }: Pages, readField: ReadField): [number, number] {
  const [first, last] = [edges[0], edges.at(-1)];
  return [first ? seqOf(first, readField) : NaN, last ? seqOf(last, readField) : NaN];
}

function seqOf({ node }: Edge, readField: ReadField): number {
  return Number(readField('seq', node) ?? NaN);
}
