import type { Message } from 'parley-client';
import { EmojiButton } from '../emoji.tsx';
import { Icon } from '../icon.tsx';
import { Menu } from '../menu.tsx';
import { linkTo } from '../route.ts';
import { useMessageActions } from './action.ts';

/** The bar with the actions for a message, shown in the corner of the message. */
export function MessageBar({ message, chatId, viewerId }: { message: Message; chatId: string; viewerId: string }) {
  const { rights, reply, edit, react, remove, report, pin, markUnread, copy } = useMessageActions();
  const isOwn = message.senderId === viewerId;
  const canWrite = rights.has('SEND_MESSAGE');
  const link = `${location.origin}/${linkTo(chatId, message.seq)}`;
  return (
    <div className="message-bar">
      {canWrite && (
        <>
          <EmojiButton label="React" choose={(emoji) => react(message, emoji)} />
          <button className="icon-button" aria-label="Reply" title="Reply (R)" onClick={() => reply(message)}>
            <Icon name="reply" />
          </button>
        </>
      )}
      <Menu
        label="More actions"
        choices={[
          isOwn ? { label: 'Edit', icon: 'edit', choose: () => edit(message) } : null,
          message.content ? { label: 'Copy text', icon: 'copy', choose: () => copy(message.content ?? '') } : null,
          { label: 'Copy link', icon: 'link', choose: () => copy(link) },
          rights.has('PIN_MESSAGE') ? { label: 'Pin', icon: 'pin', choose: () => pin(message, true) } : null,
          isOwn ? null : { label: 'Mark as unread', icon: 'bell', choose: () => markUnread(message) },
          isOwn ? null : { label: 'Report', icon: 'flag', choose: () => report(message) },
          isOwn || rights.has('DELETE_ANY_MESSAGE')
            ? { label: 'Delete', icon: 'trash', isDanger: true, choose: () => remove(message) }
            : null,
        ]}
      />
    </div>
  );
}
