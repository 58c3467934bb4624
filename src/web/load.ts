import { useClient, useConnection } from 'parley-client/react';
import type { Client } from 'parley-client';
import { useCallback, useEffect, useState } from 'react';

/** What a component asks the server for; `data` is null until it has arrived. */
export type Loaded<Data> = { data: Data | null; error: unknown; reload: () => void };

/**
 * Asks the server when the component appears, and again when the connection comes or goes, when `ask` changes, and
 * after each `reload`. `ask` must stay the same object while it asks for the same thing (useCallback).
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

/** The value, once it has not changed for a while, so that the server is not queried on every key press. */
export function useSettled<Value>(value: Value, delayMs = 200): Value {
  const [settled, setSettled] = useState(value);
  useEffect(() => {
    const timer = setTimeout(() => setSettled(value), delayMs);
    return () => clearTimeout(timer);
  }, [value, delayMs]);
  return settled;
}
