import type { Chat } from 'parley-client';
import { useLayoutEffect, useRef, type ReactNode, type RefObject } from 'react';
import { Icon } from '../icon.tsx';
import { useUi } from '../ui.tsx';
import { Details } from './details.tsx';
import { Pins } from './pins.tsx';
import { SearchPanel } from './search-panel.tsx';

const titles = { details: 'Details', pins: 'Pinned messages', search: 'Search' };

/** The panel that is open beside the chat, if any. */
export function Panel({ chat, rights }: { chat: Chat; rights: ReadonlySet<string> }) {
  const { panel, showPanel } = useUi();
  const heading = useRef<HTMLHeadingElement>(null);
  useFocusWhile(panel, heading);
  if (panel === null) return null;
  const contents: Record<typeof panel, () => ReactNode> = {
    details: () => <Details chat={chat} rights={rights} />,
    pins: () => <Pins chatId={chat.id} canUnpin={rights.has('PIN_MESSAGE')} />,
    search: () => <SearchPanel chat={chat} />,
  };
  return (
    <aside
      className="panel"
      aria-label={titles[panel]}
      onKeyDown={(event) => {
        if (event.key === 'Escape') showPanel(null);
      }}
    >
      <header className="row">
        <h2 ref={heading} className="grow" tabIndex={-1}>
          {titles[panel]}
        </h2>
        <button
          className="icon-button"
          aria-label={`Close ${titles[panel].toLowerCase()}`}
          onClick={() => showPanel(null)}
        >
          <Icon name="close" />
        </button>
      </header>
      <div className="panel-content">{contents[panel]()}</div>
    </aside>
  );
}

/**
 * Moves the focus to the heading of the panel that opens. When the panel closes, moves the focus back if it was inside
 * the panel.
 */
function useFocusWhile(panel: string | null, heading: RefObject<HTMLElement | null>): void {
  useLayoutEffect(() => {
    if (panel === null) return undefined;
    const { activeElement: opener } = document;
    heading.current?.focus();
    return () => {
      if (document.activeElement === document.body && opener instanceof HTMLElement) opener.focus();
    };
  }, [panel, heading]);
}
