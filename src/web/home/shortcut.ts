import { useClient } from 'parley-client/react';
import { createElement, useEffect } from 'react';
import { openChat, parseRoute } from '../route.ts';
import { useUi } from '../ui.tsx';
import { FindDialog } from '../finder/find-dialog.tsx';
import { ShortcutsDialog } from './shortcuts-dialog.tsx';

/**
 * Handles the keyboard shortcuts that work everywhere: Ctrl K finds, Ctrl Shift F searches, Alt ↑ and ↓ go to the
 * previous and the next chat, ? lists the shortcuts, and Escape closes the panel. Text that is typed while nothing has
 * the focus goes into the message field.
 */
export function useShortcuts(): void {
  const client = useClient();
  const { showDialog, showPanel } = useUi();
  useEffect(() => {
    const onClose = () => showDialog(null);
    const onKeyDown = (event: KeyboardEvent) => {
      const { key, altKey, target } = event;
      const isWriting = target instanceof HTMLElement && target.closest('input, textarea, select, dialog') !== null;
      const isText = key.length === 1 && key !== ' ' && !event.ctrlKey && !event.metaKey && !altKey;
      if (key.toLowerCase() === 'f' && event.shiftKey && (event.ctrlKey || event.metaKey)) showPanel('search');
      else if (key === 'k' && (event.ctrlKey || event.metaKey)) showDialog(createElement(FindDialog, { onClose }));
      else if (key === '?' && !isWriting) showDialog(createElement(ShortcutsDialog, { onClose }));
      else if (altKey && (key === 'ArrowUp' || key === 'ArrowDown')) step(key === 'ArrowUp' ? -1 : 1);
      else if (isText && target === document.body) {
        // The browser then types the character into the field.
        return document.querySelector<HTMLElement>('.composer textarea')?.focus();
      } else if (key === 'Escape' && document.querySelector('dialog[open]') === null) return showPanel(null);
      else return;
      event.preventDefault();
    };
    const step = (by: number) => {
      const { chatIds } = client.state;
      const index = chatIds.indexOf(parseRoute(location.hash).chatId ?? '');
      const next = chatIds[Math.min(Math.max(index + by, 0), chatIds.length - 1)];
      if (next !== undefined) openChat(next);
    };
    addEventListener('keydown', onKeyDown);
    return () => removeEventListener('keydown', onKeyDown);
  }, [client, showDialog, showPanel]);
}
