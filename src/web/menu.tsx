import { useRef, useState } from 'react';
import { Icon, type IconName } from './icon.tsx';
import { Popover } from './popover.tsx';

/** An item of a menu. Null items are skipped. */
export type Choice = { label: string; icon: IconName; isDanger?: boolean; choose: () => void } | null;

/** A button that opens a menu. */
export function Menu({
  label,
  icon = 'more',
  choices,
}: {
  label: string;
  icon?: IconName;
  choices: readonly Choice[];
}) {
  const [isOpen, setOpen] = useState(false);
  const button = useRef<HTMLButtonElement>(null);
  const shown = choices.filter((choice) => choice !== null);
  if (shown.length === 0) return null;
  return (
    <>
      <button
        ref={button}
        className="icon-button"
        aria-label={label}
        aria-haspopup="menu"
        aria-expanded={isOpen}
        title={label}
        onClick={() => setOpen(!isOpen)}
      >
        <Icon name={icon} />
      </button>
      {isOpen && (
        <Popover anchor={button} role="menu" label={label} onClose={() => setOpen(false)}>
          {shown.map(({ label: text, icon: name, isDanger, choose }) => (
            <button
              key={text}
              role="menuitem"
              className={isDanger ? 'choice danger' : 'choice'}
              onClick={() => {
                setOpen(false);
                button.current?.focus();
                choose();
              }}
            >
              <Icon name={name} />
              {text}
            </button>
          ))}
        </Popover>
      )}
    </>
  );
}
