import { memo, type ReactNode } from 'react';

/** Matches the parts that are not shown as plain text: code, addresses and mentions. */
const parts = /```([^]+?)```|`([^`\n]+)`|(https?:\/\/[^\s<>"]+[^\s<>".,;:!?)\]'])|(?<![\w@])@([\w][\w.-]*)/g;

/**
 * The text of a message. `names` contains the usernames that the message mentions. If it is undefined, everything that
 * looks like a mention is shown as a mention.
 */
export const MessageText = memo(function MessageText({ text, names }: { text: string; names?: ReadonlySet<string> }) {
  const shown: ReactNode[] = [];
  let end = 0;
  for (const match of text.matchAll(parts)) {
    const [whole, block, code, address, name] = match;
    const key = match.index;
    const piece =
      block !== undefined ? (
        <pre key={key} tabIndex={0}>
          {block.replace(/^\n|\n$/g, '')}
        </pre>
      ) : code !== undefined ? (
        <code key={key}>{code}</code>
      ) : address !== undefined ? (
        <a key={key} href={address} target="_blank" rel="noopener noreferrer">
          {address}
        </a>
      ) : name !== undefined && (names?.has(name.toLowerCase()) ?? true) ? (
        <span key={key} className="mention">
          {whole}
        </span>
      ) : null;
    if (piece === null) continue;
    shown.push(text.slice(end, match.index), piece);
    end = match.index + whole.length;
  }
  shown.push(text.slice(end));
  return <>{shown}</>;
});
