import { Mark } from '../icon.tsx';
import { useUi } from '../ui.tsx';
import { FindDialog } from '../finder/find-dialog.tsx';
import { NewChatDialog } from '../finder/new-chat-dialog.tsx';

/** Shown while no chat is open. */
export function Welcome() {
  const { showDialog } = useUi();
  const close = () => showDialog(null);
  return (
    <main className="welcome" aria-label="Welcome">
      <Mark />
      <h1>Choose a chat, or start one</h1>
      <p className="muted">Everything you write is kept here, and sent when there is a connection.</p>
      <div className="row">
        <button className="button primary" onClick={() => showDialog(<NewChatDialog onClose={close} />)}>
          New chat
        </button>
        <button className="button" onClick={() => showDialog(<FindDialog onClose={close} />)}>
          Find people and channels
        </button>
      </div>
    </main>
  );
}
