import { randomBytes } from 'node:crypto';

/** Returns a username for the bot of a new incoming webhook: `webhook_` followed by 64 random bits in hexadecimal. */
export function createHookUsername(): string {
  return `webhook_${randomBytes(8).toString('hex')}`;
}

/**
 * Returns an SQL condition for whether the username shows that the user is the bot of an incoming webhook, past or
 * present. Such a bot needs to be recognised because its display name was chosen for one chat, which may be hidden.
 */
export const isHookBot = (user: string) => `(${user}.kind = 'BOT' and ${user}.username ~ '^webhook_[0-9a-f]{16}$')`;
