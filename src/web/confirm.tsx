import { useState } from 'react';
import { Dialog } from './dialog.tsx';

/** Asks the user to confirm an action. `confirm` resolves to whether the action succeeded. */
export function ConfirmDialog({
  title,
  text,
  action,
  confirm,
  onClose,
}: {
  title: string;
  text: string;
  action: string;
  confirm: () => Promise<boolean>;
  onClose: () => void;
}) {
  const [isBusy, setBusy] = useState(false);
  return (
    <Dialog title={title} onClose={onClose} className="narrow">
      {text !== '' && <p className="excerpt">{text}</p>}
      <div className="row actions">
        <button className="button" onClick={onClose}>
          Cancel
        </button>
        <button
          className="button danger"
          disabled={isBusy}
          onClick={() => {
            setBusy(true);
            void confirm().then((isDone) => (isDone ? onClose() : setBusy(false)));
          }}
        >
          {action}
        </button>
      </div>
    </Dialog>
  );
}
