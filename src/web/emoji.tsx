import { useRef, useState } from 'react';
import { Icon } from './icon.tsx';
import { Popover } from './popover.tsx';

/** Common emoji, for messages and reactions. */
const emoji = [
  ...['👍', '👎', '❤️', '😂', '😮', '😢', '🙏', '🎉'],
  ...['🔥', '👀', '✅', '❌', '💯', '🚀', '👏', '🙌'],
  ...['😀', '😅', '😉', '😊', '😍', '🤔', '😎', '🥳'],
  ...['😴', '😬', '🙄', '😭', '😡', '🤯', '🤝', '💪'],
  ...['☕', '🍕', '🍰', '🌱', '🌞', '🌈', '⭐', '💡'],
  ...['🐛', '🔧', '📌', '📎', '📅', '⏰', '💬', '❓'],
];

/** Must be the same number as in the style sheet. */
const columns = 8;

/** A button that opens an emoji picker. */
export function EmojiButton({ label, choose }: { label: string; choose: (emoji: string) => void }) {
  const [isOpen, setOpen] = useState(false);
  const button = useRef<HTMLButtonElement>(null);
  return (
    <>
      <button
        ref={button}
        type="button"
        className="icon-button"
        aria-label={label}
        aria-haspopup="dialog"
        aria-expanded={isOpen}
        title={label}
        onClick={() => setOpen(!isOpen)}
      >
        <Icon name="smile" />
      </button>
      {isOpen && (
        <Popover anchor={button} role="dialog" label={label} columns={columns} onClose={() => setOpen(false)}>
          <div className="emoji-grid">
            {emoji.map((each) => (
              <button
                key={each}
                type="button"
                onClick={() => {
                  setOpen(false);
                  button.current?.focus();
                  choose(each);
                }}
              >
                {each}
              </button>
            ))}
          </div>
        </Popover>
      )}
    </>
  );
}
