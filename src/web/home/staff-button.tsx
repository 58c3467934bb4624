import { graphql, query } from 'parley-client/tada';
import type { Client } from 'parley-client';
import { lazy, Suspense } from 'react';
import { Icon } from '../icon.tsx';
import { useLoaded } from '../load.ts';
import { useUi } from '../ui.tsx';

const roleDocument = graphql('query OwnServerRole { viewer { serverRole } }');
const ask = async (client: Client) => (await query(client, roleDocument)).viewer?.serverRole ?? 'USER';

/** Few users see this dialog, so its code is loaded only when it is opened. */
const StaffDialog = lazy(async () => ({ default: (await import('../staff/staff-dialog.tsx')).StaffDialog }));

/** A button that opens the view for the server's staff. Only staff see it. */
export function StaffButton() {
  const { showDialog } = useUi();
  const { data: role } = useLoaded(ask);
  if (role === null || role === 'USER') return null;
  const open = () =>
    showDialog(
      <Suspense>
        <StaffDialog isAdmin={role === 'ADMIN'} onClose={() => showDialog(null)} />
      </Suspense>,
    );
  return (
    <button className="icon-button" aria-label="Moderation" title="Moderation of this server" onClick={open}>
      <Icon name="shield" />
    </button>
  );
}
