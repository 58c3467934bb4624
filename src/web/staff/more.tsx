/** A button that shows more entries of a list, if there are any. */
export function More({
  page,
  onMore,
}: {
  page: { pageInfo: { hasNextPage: boolean } } | null | undefined;
  onMore: () => void;
}) {
  if (page?.pageInfo.hasNextPage !== true) return null;
  return (
    <button className="link-button" onClick={onMore}>
      Show more
    </button>
  );
}
