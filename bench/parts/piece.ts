import { encodePiece } from '../../src/live/broadcast/wire.ts';
import { contentOf } from '../document.ts';

const at = new Date(1_800_000_000_000);
const event = {
  at,
  kind: 'NewMessage',
  audience: 'CHAT',
  chatId: 1_234_567n,
  userId: null,
  actorId: 7_654_321n,
  messageId: 1_000_000_000n,
  seq: 4_321,
  version: 1,
  detail: null,
} as const;
const sender = { id: 7_654_321n, username: 'ada.lovelace', email: null, displayName: 'Ada Lovelace', createdAt: at };
const chat = { id: 1_234_567n, type: 'GROUP', name: 'Analytical engines', description: null, createdAt: at };

/**
 * Returns the piece that the publisher sends for one new message: the event, and the message with its sender and chat.
 */
export function pieceOf(number: number): string {
  const id = 123_456_789n + BigInt(number);
  const message = { id: event.messageId, chatId: event.chatId, seq: event.seq, kind: 'USER', senderId: sender.id };
  const rest = { content: contentOf(number), clientMessageId: `message-${number}`, createdAt: at, custom: {} };
  const rows = new Map([[id, { message: { ...message, ...rest }, sender, chat }]]);
  return encodePiece({ term: 7n, through: id, events: [{ ...event, id }], rows });
}
