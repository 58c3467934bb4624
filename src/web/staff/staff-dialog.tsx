import { useState, type ReactNode } from 'react';
import { Dialog } from '../dialog.tsx';
import { Tabs } from '../tabs.tsx';
import { AuditLog } from './audit-log.tsx';
import { Reports } from './reports.tsx';
import { Users } from './users.tsx';

/** The view for the server's staff: reports, users and, for admins, the audit log. */
export function StaffDialog({ isAdmin, onClose }: { isAdmin: boolean; onClose: () => void }) {
  const tabs: Record<string, () => ReactNode> = {
    Reports: () => <Reports />,
    Users: () => <Users isAdmin={isAdmin} />,
    ...(isAdmin && { Log: () => <AuditLog /> }),
  };
  const [tab, setTab] = useState('Reports');
  return (
    <Dialog title="Moderation of this server" onClose={onClose} className="wide">
      <Tabs label="Moderation" names={Object.keys(tabs)} chosen={tab} choose={setTab}>
        {tabs[tab]?.()}
      </Tabs>
    </Dialog>
  );
}
