import { useClient, useConnection } from 'parley-client/react';
import { useEffect, useState } from 'react';
import { Icon } from '../icon.tsx';

/** Brief interruptions of the connection are normal, so interruptions that are shorter than this are not shown. */
const patienceMs = 1_500;

/**
 * Tells the user that the page is out of date because it is not connected to the server. The page continues to work.
 */
export function Banner() {
  const client = useClient();
  const connection = useConnection();
  const [isLong, setLong] = useState(false);
  const isLive = connection === 'live';
  useEffect(() => {
    if (isLive) return setLong(false);
    const timer = setTimeout(() => setLong(true), patienceMs);
    return () => clearTimeout(timer);
  }, [isLive]);
  const isShown = !isLive && (isLong || connection === 'offline');
  return (
    <div role="status" className={isShown ? 'banner' : 'hidden'}>
      {isShown && connection === 'offline' && (
        <>
          <Icon name="warning" />
          <span>You are offline. What you write is sent when the connection is back.</span>
          <button className="link-button" onClick={() => client.reconnect()}>
            Try now
          </button>
        </>
      )}
      {isShown && connection !== 'offline' && <span>{connection === 'behind' ? 'Catching up …' : 'Connecting …'}</span>}
    </div>
  );
}
