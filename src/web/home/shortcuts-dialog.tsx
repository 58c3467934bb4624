import { Dialog } from '../dialog.tsx';

const keys = [
  ['Ctrl K', 'Find people, channels and chats'],
  ['Alt ↑ / ↓', 'Previous or next chat'],
  ['Ctrl Shift F', 'Search messages'],
  ['Enter', 'Send'],
  ['Shift Enter', 'New line'],
  ['↑ in an empty field', 'Edit your last message'],
  ['Tab to a message, then ↑ / ↓', 'Move between messages'],
  ['R, +, E, Delete on a message', 'Reply, react, edit, delete'],
  ['Escape on a message', 'Back to the field'],
  ['Escape', 'Close what is open'],
] as const;

/** The keyboard shortcuts. */
export function ShortcutsDialog({ onClose }: { onClose: () => void }) {
  return (
    <Dialog title="Keyboard" onClose={onClose} className="narrow">
      <dl className="keys">
        {keys.map(([key, meaning]) => (
          <div key={key} className="row">
            <dt>
              <kbd>{key}</kbd>
            </dt>
            <dd>{meaning}</dd>
          </div>
        ))}
      </dl>
    </Dialog>
  );
}
