import { askerKey, sessionKey, type Asker } from './asker.ts';

/** The asker of one execution, and a record of who may share its result. */
export type WatchedAsker = {
  /** The asker. Call it only where a result depends on who asks. */
  ask: () => Asker;
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
export function watchAsker(asker: Asker): WatchedAsker {
  let personalTo: string | null = null;
  const learnSession = () => {
    personalTo = sessionKey(asker);
    return asker;
  };
  const watched: Asker = {
    ...asker,
    get sessionId() {
      return learnSession().sessionId;
    },
    get expiresAt() {
      return learnSession().expiresAt;
    },
  };
  const ask = () => {
    personalTo ??= askerKey(asker);
    return watched;
  };
  return { ask, personalTo: () => personalTo };
}
