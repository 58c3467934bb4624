import type { Message } from 'parley-client';
import { useMessageActions } from './action.ts';

/** The reactions to a message. A click adds or removes the viewer's reaction. */
export function Reactions({ message }: { message: Message }) {
  const { react } = useMessageActions();
  return (
    <ul className="reactions">
      {message.reactions.map(({ emoji, count, viewerReacted }) => (
        <li key={emoji}>
          <button
            className="reaction"
            aria-pressed={viewerReacted}
            aria-label={`${emoji}, ${count} ${count === 1 ? 'reaction' : 'reactions'}`}
            onClick={() => react(message, emoji)}
          >
            <span aria-hidden="true">{emoji}</span>
            <span aria-hidden="true">{count}</span>
          </button>
        </li>
      ))}
    </ul>
  );
}
