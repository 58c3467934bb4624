import { useClient, useConnection } from 'parley-client/react';
import { useEffect } from 'react';
import { graphql, query } from 'parley-client/tada';

const presenceDocument = graphql(`
  mutation SetPresence($status: PresenceStatus!) {
    setPresence(status: $status) {
      __typename
    }
  }
`);

/** Shows the user as away while the page is hidden. */
export function usePageAttendance(): void {
  const client = useClient();
  const isLive = useConnection() === 'live';
  useEffect(() => {
    const report = () => {
      if (!isLive) return;
      const status = document.visibilityState === 'visible' ? 'ONLINE' : 'AWAY';
      // If this fails, the status is reported again when the visibility of the page or the connection changes.
      query(client, presenceDocument, { status }).catch(() => {});
    };
    if (document.visibilityState === 'hidden') report();
    document.addEventListener('visibilitychange', report);
    return () => document.removeEventListener('visibilitychange', report);
  }, [client, isLive]);
}
