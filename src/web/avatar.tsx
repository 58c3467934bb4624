import { nameOf, titleOf, useFileLinks, usePresence } from 'parley-client/react';
import type { Chat, User } from 'parley-client';
import { Icon } from './icon.tsx';

const none: readonly string[] = [];
const statusNames = { ONLINE: 'online', AWAY: 'away', OFFLINE: 'offline' };

type Face = { id: string; name: string; fileId: string | undefined };

/** The picture of a user, or their initials, with a dot that shows whether they are online. */
export function Avatar({
  user,
  size = 36,
  hasDot = false,
}: {
  user: User | null | undefined;
  size?: number;
  hasDot?: boolean;
}) {
  const presence = usePresence(hasDot ? user?.id : undefined);
  const status = presence === undefined ? null : presence.status;
  return (
    <span className="avatar-frame">
      <Portrait face={{ id: user?.id ?? '', name: nameOf(user), fileId: user?.avatar?.id }} size={size} />
      {status !== null && status !== 'OFFLINE' && (
        <span className={`dot ${statusNames[status]}`}>
          <span className="hidden">{statusNames[status]}</span>
        </span>
      )}
    </span>
  );
}

/** The picture of a chat, or of the other person in a conversation between two people. */
export function ChatAvatar({ chat, size = 40 }: { chat: Chat; size?: number }) {
  if (chat.type === 'SINGLE') return <Avatar user={chat.peer} size={size} hasDot />;
  if (chat.avatar !== null || chat.type === 'GROUP') {
    return <Portrait face={{ id: chat.id, name: titleOf(chat), fileId: chat.avatar?.id }} size={size} isSquare />;
  }
  return (
    <span className="portrait square channel" style={{ width: size, height: size }}>
      <Icon name={chat.type === 'PUBLIC_CHANNEL' ? 'hash' : 'lock'} />
    </span>
  );
}

function Portrait({ face, size, isSquare = false }: { face: Face; size: number; isSquare?: boolean }) {
  const { id, name, fileId } = face;
  const link = useFileLinks(fileId === undefined ? none : [fileId]).get(fileId ?? '');
  return (
    <span
      className={isSquare ? 'portrait square' : 'portrait'}
      style={{ width: size, height: size, fontSize: size * 0.38, backgroundColor: `oklch(0.47 0.08 ${hueOf(id)})` }}
      aria-hidden="true"
    >
      {initialsOf(name)}
      {link !== undefined && <img src={link.small ?? link.url} alt="" width={size} height={size} />}
    </span>
  );
}

function initialsOf(name: string): string {
  const words = name.split(/[\s._-]+/).filter((word) => word !== '');
  const letters = words.length > 1 ? [words[0], words.at(-1)].map((word) => first(word)) : [first(words[0])];
  return letters.join('').toUpperCase();
}

function first(word = '?'): string {
  return [...word][0] ?? '?';
}

/**
 * Returns a hue for an id, which is always the same for the same id. The hues of similar ids are far apart (by the
 * golden angle).
 */
function hueOf(id: string): number {
  let sum = 0;
  for (const character of id) sum = (sum * 31 + (character.codePointAt(0) ?? 0)) % 65_521;
  return Math.round((sum * 137.508) % 360);
}
