import { useState, type ReactNode } from 'react';
import { Dialog } from '../dialog.tsx';
import { moveFocus } from '../popover.tsx';
import { Account } from './account.tsx';
import { Blocks } from './blocks.tsx';
import { Profile } from './profile.tsx';
import { Sessions } from './sessions.tsx';
import { ThemeChoice } from './theme-choice.tsx';

const tabs = { Profile, Appearance: ThemeChoice, Devices: Sessions, Blocked: Blocks, Account };

/** What the user can change about themselves. */
export function Settings({ onClose }: { onClose: () => void }) {
  const [tab, setTab] = useState<keyof typeof tabs>('Profile');
  const Content: () => ReactNode = tabs[tab];
  return (
    <Dialog title="Settings" onClose={onClose} className="settings">
      <div className="tabs" role="tablist" aria-label="Settings" onKeyDown={moveFocus}>
        {Object.keys(tabs).map((name) => (
          <button
            key={name}
            role="tab"
            id={`tab-${name}`}
            aria-selected={tab === name}
            aria-controls="settings-content"
            onClick={() => setTab(name as keyof typeof tabs)}
          >
            {name}
          </button>
        ))}
      </div>
      <div id="settings-content" role="tabpanel" aria-labelledby={`tab-${tab}`} className="stack">
        <Content />
      </div>
    </Dialog>
  );
}
