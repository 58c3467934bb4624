import { useState, type ReactNode } from 'react';
import { Dialog } from '../dialog.tsx';
import { Tabs } from '../tabs.tsx';
import { Account } from './account.tsx';
import { Blocks } from './blocks.tsx';
import { Profile } from './profile.tsx';
import { Sessions } from './sessions.tsx';
import { ThemeChoice } from './theme-choice.tsx';

const tabs = { Profile, Appearance: ThemeChoice, Devices: Sessions, Blocked: Blocks, Account };
const names = Object.keys(tabs) as (keyof typeof tabs)[];

/** The settings that users can change about themselves. */
export function Settings({ onClose }: { onClose: () => void }) {
  const [tab, setTab] = useState<keyof typeof tabs>('Profile');
  const Content: () => ReactNode = tabs[tab];
  return (
    <Dialog title="Settings" onClose={onClose} className="settings">
      <Tabs label="Settings" names={names} chosen={tab} choose={setTab}>
        <Content />
      </Tabs>
    </Dialog>
  );
}
