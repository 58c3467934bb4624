import { useClient, useConnection } from 'parley-client/react';
import type { Client } from 'parley-client';
import { useCallback, useEffect, useState } from 'react';

/** The result of a request that a component makes; `data` is null until it has arrived. */
export type Loaded<Data> = { data: Data | null; error: unknown; reload: () => void };

/**
 * Calls `ask` when the component appears, and again when the connection is lost or restored, when `ask` changes, and
 * after each `reload`. `ask` must be the same function as long as it requests the same data (useCallback).
 */
export function useLoaded<Data>(ask: (client: Client) => Promise<Data>): Loaded<Data> {
  const client = useClient();
  const isLive = useConnection() === 'live';
  const [round, setRound] = useState(0);
  const [state, setState] = useState<{ data: Data | null; error: unknown }>({ data: null, error: null });
  useEffect(() => {
    let isWanted = true;
    ask(client).then(
      (data) => isWanted && setState({ data, error: null }),
      (error: unknown) => isWanted && setState(({ data }) => ({ data, error })),
    );
    return () => {
      isWanted = false;
    };
  }, [client, ask, round, isLive]);
  return { ...state, reload: useCallback(() => setRound((before) => before + 1), []) };
}

/** Returns the value once it has not changed for a while, so that the server is not queried on every key press. */
export function useSettled<Value>(value: Value, delayMs = 200): Value {
  const [settled, setSettled] = useState(value);
  useEffect(() => {
    const timer = setTimeout(() => setSettled(value), delayMs);
    return () => clearTimeout(timer);
  }, [value, delayMs]);
  return settled;
}
