import { printText } from './search-text.ts';

/** Messages whose ids differ only in the last 14 bits are in the same block of the index. */
const blockBits = 14n;

/** What the index needs to know about a message. */
export type IndexedMessage = {
  id: bigint;
  chatId: bigint;
  isPublic: boolean;
  senderId: bigint | null;
  content: string;
  hasFile: boolean;
  hasPicture: boolean;
};

/** The keys of the index that are not words. They begin with an @, as no word does. */
export const keyOf = {
  chat: (id: bigint) => `@c${id}`,
  sender: (id: bigint) => `@s${id}`,
  block: (number: bigint) => `@w${number}`,
  public: '@p',
  file: '@f',
  picture: '@i',
  link: '@l',
} as const;

/** Returns the block of ids that a message is in. */
export function blockOf(messageId: bigint): bigint {
  return messageId >> blockBits;
}

/** Returns the first message id of a block. */
export function startOfBlock(block: bigint): bigint {
  return block << blockBits;
}

/** Formats the `tokens` of a message in search_entries. */
export function printMessage({ content, ...message }: IndexedMessage): string {
  const keys = [
    keyOf.chat(message.chatId),
    ...(message.isPublic ? [keyOf.public] : []),
    ...(message.senderId === null ? [] : [keyOf.sender(message.senderId)]),
    keyOf.block(blockOf(message.id)),
    ...(message.hasFile ? [keyOf.file] : []),
    ...(message.hasPicture ? [keyOf.picture] : []),
    ...(hasLink(content) ? [keyOf.link] : []),
  ];
  return `${printText(content)}| ${keys.join(' ')} `;
}

/** Formats the `tokens` of a user in search_people, or of a channel in search_channels. */
export function printNames(names: readonly string[]): string {
  return names.map(printText).join('|');
}

/** Whether a text contains a web address. */
export function hasLink(content: string): boolean {
  return content.includes('://') && /(?<![\p{L}\p{N}])https?:\/\/[^\s/]/iu.test(content);
}
