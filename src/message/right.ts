import type { MessageCase } from '../chat/chat-access.ts';
import { refuseDeletion } from './message-deletion.ts';
import { refuseEdit } from './message-edit.ts';
import { refusePin } from './pin.ts';
import { refuseReaction } from './reaction.ts';
import { refuseReport } from '../admin/report.ts';

/** The actions on a message, each with the rule that its mutation applies. */
const refusals = {
  EDIT: refuseEdit,
  DELETE: refuseDeletion,
  PIN: refusePin,
  REACT: refuseReaction,
  REPORT: refuseReport,
} as const satisfies Record<string, (about: MessageCase) => Error | null>;

/** The name of an action on a message. */
export type MessageAction = keyof typeof refusals;

/** All of them. */
export const messageActions = Object.keys(refusals) as [MessageAction, ...MessageAction[]];

/**
 * Returns the actions that the asker may perform on the message, or none if the message is deleted or the asker cannot
 * see it. There are none if the message is deleted or the asker cannot see it.
 */
export function actionsOn(about: MessageCase): MessageAction[] {
  const { message, access } = about;
  if (message.deletedAt !== null || access.visibleFrom === null || message.seq < access.visibleFrom) return [];
  return messageActions.filter((action) => refusals[action](about) === null);
}
