import type { EndReason } from '../../live/listener.ts';

/** The last result of a subscription that ends permanently, by the reason for the end. */
export const endPayloads: Record<EndReason, string> = {
  SESSION_ENDED: JSON.stringify({
    errors: [{ message: 'This session has ended.', extensions: { code: 'UNAUTHENTICATED' } }],
  }),
  ACCESS_LOST: JSON.stringify({
    errors: [{ message: 'You no longer have access to this chat.', extensions: { code: 'NOT_FOUND' } }],
  }),
};
