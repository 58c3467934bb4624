import type { EndReason } from '../../live/listener.ts';

/** The last result of a subscription that ends for good, by what ended it. */
export const endPayloads: Record<EndReason, string> = {
  SESSION_ENDED: JSON.stringify({
    errors: [{ message: 'This session has ended.', extensions: { code: 'UNAUTHENTICATED' } }],
  }),
  ACCESS_LOST: JSON.stringify({
    errors: [{ message: 'You have no access to this chat any more.', extensions: { code: 'NOT_FOUND' } }],
  }),
};
