import { useClient, useConnection, useViewer } from 'parley-client/react';
import { useEffect, useState } from 'react';
import { DraftsProvider } from './conversation/draft.ts';
import { Entry } from './entry/entry.tsx';
import { leaveMailLink, readMailLink } from './entry/mail-link.ts';
import { MailLinkPage } from './entry/mail-link-page.tsx';
import { Home } from './home.tsx';
import { Mark } from './icon.tsx';
import { usePageAttendance } from './attendance.ts';
import { useRoute } from './route.ts';
import { UiProvider } from './ui.tsx';
import { askAsVisitor } from './visitor.ts';

/** The whole page. */
export function App() {
  const connection = useConnection();
  const viewer = useViewer();
  const isStarting = useIsStarting();
  const { inviteCode } = useRoute();
  const chatName = useInvitedChatName(inviteCode);
  const [mailLink, setMailLink] = useState(readMailLink);
  usePageAttendance();
  if (mailLink !== null && !isStarting) {
    const leave = () => {
      leaveMailLink();
      setMailLink(null);
    };
    return <MailLinkPage link={mailLink} onDone={leave} />;
  }
  if (viewer !== null) {
    return (
      <UiProvider key={viewer.id}>
        <DraftsProvider>
          <Home viewer={viewer} />
        </DraftsProvider>
      </UiProvider>
    );
  }
  if (connection === 'signed-out' && !isStarting) return <Entry inviteCode={inviteCode} chatName={chatName} />;
  return (
    <main className="splash">
      <Mark />
      <h1 className="wordmark">parley</h1>
      <p className="muted" role="status">
        {connection === 'offline' ? 'The server cannot be reached. Trying again …' : 'Connecting …'}
      </p>
    </main>
  );
}

/** Returns true until it is known whether the user is signed in. */
function useIsStarting(): boolean {
  const client = useClient();
  const [isStarting, setStarting] = useState(true);
  useEffect(() => {
    let isShown = true;
    // `start` does nothing if the client is already running, and resolves immediately if the client is signed out.
    void client.start().finally(() => isShown && setStarting(false));
    return () => {
      isShown = false;
    };
  }, [client]);
  return isStarting;
}

function useInvitedChatName(code: string | null): string | null {
  const [name, setName] = useState<string | null>(null);
  useEffect(() => {
    if (code === null) return;
    const document = 'query ($code: String!) { invite(code: $code) { chatName } }';
    type Data = { invite: { chatName: string | null } | null };
    askAsVisitor<Data>(document, { code }).then(
      ({ invite }) => setName(invite?.chatName ?? null),
      () => {},
    );
  }, [code]);
  return name;
}
