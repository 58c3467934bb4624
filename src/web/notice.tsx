import { createContext, useCallback, useContext, useRef, useState, type ReactNode } from 'react';
import { Icon } from './icon.tsx';
import { describeFailure } from './failure.ts';

type Notice = { id: number; text: string; isFailure: boolean };

const Context = createContext<(text: string, isFailure?: boolean) => void>(() => {});
const shownMs = 7_000;

/** Shows short notices at the edge of the page. */
export function NoticeBoard({ children }: { children: ReactNode }) {
  const [notices, setNotices] = useState<readonly Notice[]>([]);
  const next = useRef(0);
  const remove = useCallback((id: number) => setNotices((all) => all.filter((notice) => notice.id !== id)), []);
  const add = useCallback(
    (text: string, isFailure = false) => {
      const id = next.current++;
      setNotices((all) => [...all.slice(-2), { id, text, isFailure }]);
      setTimeout(() => remove(id), shownMs);
    },
    [remove],
  );
  return (
    <Context value={add}>
      {children}
      <div className="notices" role="status">
        {notices.map(({ id, text, isFailure }) => (
          <div key={id} className={isFailure ? 'notice failure' : 'notice'}>
            <span className="grow">{text}</span>
            <button className="icon-button" aria-label="Dismiss" onClick={() => remove(id)}>
              <Icon name="close" />
            </button>
          </div>
        ))}
      </div>
    </Context>
  );
}

/** Shows a notice for a few seconds. */
export function useNotice(): (text: string, isFailure?: boolean) => void {
  return useContext(Context);
}

/** Runs work, and shows a notice if it fails. Resolves with whether it succeeded. */
export function useAttempt(): (work: () => Promise<unknown>) => Promise<boolean> {
  const notify = useNotice();
  return useCallback(
    async (work) => {
      try {
        await work();
        return true;
      } catch (error) {
        notify(describeFailure(error), true);
        return false;
      }
    },
    [notify],
  );
}
