import { randomBytes } from 'node:crypto';

/** A username for the bot of a new incoming webhook: `webhook_` and 64 random bits. */
export function createHookUsername(): string {
  return `webhook_${randomBytes(8).toString('hex')}`;
}

/**
 * An SQL condition: the username shows that the user is the bot of an incoming webhook, past or present. The bot's
 * display name was chosen for one chat, which may be hidden.
 */
export const isHookBot = (user: string) => `(${user}.kind = 'BOT' and ${user}.username ~ '^webhook_[0-9a-f]{16}$')`;
