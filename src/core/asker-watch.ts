import { askerKey, sessionKey, type Asker, type Caller, type ServerKey } from './asker.ts';

/** The asker of one execution, and a record of who may share the result of that execution. */
export type WatchedAsker<Watched extends Caller = Caller> = {
  /** Returns the asker. Call this function only if the result depends on who asks. */
  ask: () => Watched;
  /**
   * Returns who may get the result: null for everyone, if the execution never asked; `askerKey`, if it asked who the
   * user is; or `sessionKey`, if it read anything about the session, as file links do.
   */
  personalTo: () => string | null;
};

/**
 * Records what an execution learns about its asker. The properties of the session are getters, so copying the asker
 * counts as reading the session. The result is then shared with fewer sessions than possible, but never with too many.
 */
export function watchAsker(asker: Asker): WatchedAsker<Asker>;
export function watchAsker(asker: Caller): WatchedAsker;
export function watchAsker(asker: Caller): WatchedAsker {
  return asker.userId === null ? watchServerKey(asker) : watchUser(asker);
}

/** A server key has no session, so there is only one fact to record for it. */
function watchServerKey(key: ServerKey): WatchedAsker {
  let personalTo: string | null = null;
  const ask = () => {
    personalTo = askerKey(key);
    return key;
  };
  return { ask, personalTo: () => personalTo };
}

function watchUser(asker: Asker): WatchedAsker<Asker> {
  let personalTo: string | null = null;
  const learnSession = () => {
    personalTo = sessionKey(asker);
    return asker;
  };
  // Created on demand, because most executions never ask.
  let watched: Asker | null = null;
  const ask = () => {
    personalTo ??= askerKey(asker);
    watched ??= {
      ...asker,
      get sessionId() {
        return learnSession().sessionId;
      },
      get expiresAt() {
        return learnSession().expiresAt;
      },
    };
    return watched;
  };
  return { ask, personalTo: () => personalTo };
}
