import type pg from 'pg';
import { readInstallation } from '../postgres/installation.ts';
import type { Channels } from '../redis/channels.ts';
import { TypingChannel } from './typing-channel.ts';

/** The channels through which nodes tell each other about events and typing; null if there is no such channel. */
export type Exchange = { channels: Channels | null; typing: TypingChannel | null };

/** Creates the exchange over these channels, which several installations may share. */
export async function createExchange(pool: pg.Pool, channels: Channels | null): Promise<Exchange> {
  return { channels, typing: channels && new TypingChannel(channels, await readInstallation(pool)) };
}
