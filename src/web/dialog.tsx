import { useId, useLayoutEffect, useRef, type ReactNode } from 'react';
import { Icon } from './icon.tsx';
import { NoticesAbove } from './notice.tsx';

/**
 * The controls that can receive the initial focus: those below the title, except radio buttons that are not checked.
 */
const firstField =
  'header ~ * :is(button:not(:disabled), select, textarea, input:not([hidden], [type=radio]:not(:checked)))';

/**
 * A modal window on top of the page. The browser keeps the focus in the window, and returns it when the window closes.
 */
export function Dialog({
  title,
  onClose,
  className = '',
  children,
}: {
  title: string;
  onClose: () => void;
  className?: string;
  children: ReactNode;
}) {
  const ref = useRef<HTMLDialogElement>(null);
  const id = useId();
  // Not useEffect, because a dialog that has left the page can no longer return the focus.
  useLayoutEffect(() => {
    const dialog = ref.current;
    dialog?.showModal();
    dialog?.querySelector<HTMLElement>(firstField)?.focus();
    return () => dialog?.close();
  }, []);
  return (
    <dialog
      ref={ref}
      className={`dialog ${className}`}
      aria-labelledby={id}
      onCancel={(event) => {
        event.preventDefault();
        onClose();
      }}
      // The target of a click on the backdrop is the dialog itself. Any other click is on its content.
      onMouseDown={(event) => event.target === event.currentTarget && onClose()}
    >
      <div className="dialog-content">
        <header className="row">
          <h2 id={id} className="grow">
            {title}
          </h2>
          <button className="icon-button" aria-label="Close" onClick={onClose}>
            <Icon name="close" />
          </button>
        </header>
        {children}
      </div>
      <NoticesAbove />
    </dialog>
  );
}
