import type { ReactNode } from 'react';
import { Mark } from '../icon.tsx';

/** The card that a visitor sees in the middle of the page, with other options below it. */
export function EntryCard({ children, below }: { children: ReactNode; below?: ReactNode }) {
  return (
    <main className="entry">
      <div className="entry-card">
        <div className="brand">
          <Mark />
          <span className="wordmark">parley</span>
        </div>
        {children}
        {below !== undefined && <div className="muted below">{below}</div>}
      </div>
    </main>
  );
}
