import { askerKey, sessionKey, type Asker, type Caller, type ServerKey } from './asker.ts';

/** The asker of one execution, and a record of who may share its result. */
export type WatchedAsker<Watched extends Caller = Caller> = {
  /** The asker. Call it only where a result depends on who asks. */
  ask: () => Watched;
  /**
   * Who may get the result: null for everyone if the execution never asked, `askerKey` if it asked for the user, and
   * `sessionKey` if it read anything of the session, as file links do.
   */
  personalTo: () => string | null;
};

/**
 * Records what an execution learns about its asker. The properties of the session are getters, so copying the asker
 * counts as reading the session: the result is then shared with fewer sessions, never with too many.
 */
export function watchAsker(asker: Asker): WatchedAsker<Asker>;
export function watchAsker(asker: Caller): WatchedAsker;
export function watchAsker(asker: Caller): WatchedAsker {
  return asker.userId === null ? watchServerKey(asker) : watchUser(asker);
}

/** A server key has no session, so there is only one thing to record. */
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
  // Most executions never ask.
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
