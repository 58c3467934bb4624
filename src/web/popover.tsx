import { useEffect, useLayoutEffect, useRef, type KeyboardEvent, type ReactNode, type RefObject } from 'react';

/** How far a popover stays from the edge of the window. */
const marginPx = 8;

/** Something small beside a button, such as a menu. It closes with Escape, and when the focus or a click is elsewhere. */
export function Popover({
  anchor,
  onClose,
  role,
  label,
  children,
}: {
  anchor: RefObject<HTMLElement | null>;
  onClose: () => void;
  role: 'menu' | 'dialog';
  label: string;
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
    } else moveFocus(event);
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

/** The arrow keys move between the buttons of an element. */
export function moveFocus(event: KeyboardEvent): void {
  const steps: Record<string, number> = { ArrowDown: 1, ArrowRight: 1, ArrowUp: -1, ArrowLeft: -1 };
  const step = steps[event.key];
  if (step === undefined || event.target instanceof HTMLInputElement) return;
  const buttons = [...event.currentTarget.querySelectorAll<HTMLElement>('button:not(:disabled), a[href]')];
  const index = buttons.findIndex((button) => button === document.activeElement);
  event.preventDefault();
  buttons[(index + step + buttons.length) % buttons.length]?.focus();
}
