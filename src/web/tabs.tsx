import { useId, type ReactNode } from 'react';
import { moveFocus } from './popover.tsx';

/** A row of named tabs, and the content of the chosen tab. The arrow keys move between the tabs. */
export function Tabs<Name extends string>({
  label,
  names,
  chosen,
  choose,
  children,
}: {
  label: string;
  names: readonly Name[];
  chosen: Name;
  choose: (name: Name) => void;
  children: ReactNode;
}) {
  const id = useId();
  return (
    <>
      <div className="tabs" role="tablist" aria-label={label} onKeyDown={moveFocus}>
        {names.map((name) => (
          <button
            key={name}
            role="tab"
            id={`${id}-${name}`}
            aria-selected={chosen === name}
            aria-controls={`${id}-content`}
            tabIndex={chosen === name ? 0 : -1}
            onClick={() => choose(name)}
          >
            {name}
          </button>
        ))}
      </div>
      <div id={`${id}-content`} role="tabpanel" aria-labelledby={`${id}-${chosen}`} className="stack">
        {children}
      </div>
    </>
  );
}
