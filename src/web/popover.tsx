import { useEffect, useLayoutEffect, useRef, type KeyboardEvent, type ReactNode, type RefObject } from 'react';

/** The minimum distance between a popover and the edge of the window. */
const marginPx = 8;

/**
 * A small element next to a button, such as a menu. It closes on Escape, on a click elsewhere, and when the focus moves
 * elsewhere.
 */
export function Popover({
  anchor,
  onClose,
  role,
  label,
  columns,
  children,
}: {
  anchor: RefObject<HTMLElement | null>;
  onClose: () => void;
  role: 'menu' | 'dialog';
  label: string;
  /** The number of buttons per row; see `moveFocus`. */
  columns?: number;
  children: ReactNode;
}) {
  const ref = useRef<HTMLDivElement>(null);
  useLayoutEffect(() => {
    const { current: popover } = ref;
    if (popover === null || anchor.current === null) return;
    popover.showPopover();
    place(popover, anchor.current.getBoundingClientRect());
    popover.querySelector<HTMLElement>('button, input')?.focus();
  }, [anchor]);
  useEffect(() => {
    const closeBeside = (event: Event) => {
      const { target } = event;
      if (!(target instanceof Node) || ref.current?.contains(target) || anchor.current?.contains(target)) return;
      onClose();
    };
    document.addEventListener('pointerdown', closeBeside);
    document.addEventListener('focusin', closeBeside);
    return () => {
      document.removeEventListener('pointerdown', closeBeside);
      document.removeEventListener('focusin', closeBeside);
    };
  }, [anchor, onClose]);
  const onKeyDown = (event: KeyboardEvent) => {
    event.stopPropagation();
    if (event.key === 'Escape') {
      onClose();
      anchor.current?.focus();
    } else moveFocus(event, columns);
  };
  return (
    <div ref={ref} popover="manual" className="popover" role={role} aria-label={label} onKeyDown={onKeyDown}>
      {children}
    </div>
  );
}

function place(popover: HTMLElement, anchor: DOMRect): void {
  const { width, height } = popover.getBoundingClientRect();
  const left = Math.min(Math.max(marginPx, anchor.right - width), innerWidth - width - marginPx);
  const below = anchor.bottom + 4;
  const top = below + height + marginPx < innerHeight ? below : Math.max(marginPx, anchor.top - height - 4);
  popover.style.left = `${left}px`;
  popover.style.top = `${top}px`;
}

/**
 * Handles the arrow keys, Home and End, which move between the buttons and links of an element. `columns` is the number
 * of buttons per row. If there is only one column, the focus wraps around at both ends.
 */
export function moveFocus(event: KeyboardEvent, columns = 1): void {
  if (event.target instanceof HTMLInputElement) return;
  const buttons = [...event.currentTarget.querySelectorAll<HTMLElement>('button:not(:disabled), a[href]')];
  const index = buttons.findIndex((button) => button === document.activeElement);
  const targets: Record<string, number> = {
    ArrowDown: index + columns,
    ArrowRight: index + 1,
    ArrowUp: index - columns,
    ArrowLeft: index - 1,
    Home: 0,
    End: buttons.length - 1,
  };
  const target = targets[event.key];
  if (target === undefined) return;
  event.preventDefault();
  buttons[columns === 1 ? (target + buttons.length) % buttons.length : target]?.focus();
}
