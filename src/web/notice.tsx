import {
  createContext,
  useCallback,
  useContext,
  useLayoutEffect,
  useMemo,
  useRef,
  useState,
  type ReactNode,
} from 'react';
import { Icon } from './icon.tsx';
import { describeFailure } from './failure.ts';

type Notice = { id: number; text: string; isFailure: boolean };
type Board = { notices: readonly Notice[]; remove: (id: number) => void; coverBy: (count: number) => void };

const Context = createContext<(text: string, isFailure?: boolean) => void>(() => {});
const BoardContext = createContext<Board>({ notices: [], remove: () => {}, coverBy: () => {} });
const shownMs = 7_000;

/** Shows short notices at the edge of the page, or inside a dialog that covers the page. */
export function NoticeBoard({ children }: { children: ReactNode }) {
  const [notices, setNotices] = useState<readonly Notice[]>([]);
  const [coverCount, setCoverCount] = useState(0);
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
  const coverBy = useCallback((count: number) => setCoverCount((before) => before + count), []);
  const board = useMemo(() => ({ notices, remove, coverBy }), [notices, remove, coverBy]);
  return (
    <Context value={add}>
      <BoardContext value={board}>
        {children}
        <NoticeList notices={coverCount === 0 ? notices : []} remove={remove} />
      </BoardContext>
    </Context>
  );
}

/** Shows the notices inside a modal dialog, because nothing behind it can be read or clicked. */
export function NoticesAbove() {
  const { notices, remove, coverBy } = useContext(BoardContext);
  useLayoutEffect(() => {
    coverBy(1);
    return () => coverBy(-1);
  }, [coverBy]);
  return <NoticeList notices={notices} remove={remove} />;
}

function NoticeList({ notices, remove }: Pick<Board, 'notices' | 'remove'>) {
  return (
    <div className="notices" role="status">
      {notices.map(({ id, text, isFailure }) => (
        <div key={id} className={isFailure ? 'notice failure' : 'notice'}>
          <span className="grow">{text}</span>
          <button type="button" className="icon-button" aria-label="Dismiss" onClick={() => remove(id)}>
            <Icon name="close" />
          </button>
        </div>
      ))}
    </div>
  );
}

/** Shows a notice for a few seconds. */
export function useNotice(): (text: string, isFailure?: boolean) => void {
  return useContext(Context);
}

/** Runs work, and shows a notice if it fails. Resolves to whether the work succeeded. */
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
