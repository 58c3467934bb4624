import { ParleyProvider } from 'parley-client/react';
import { StrictMode } from 'react';
import { createRoot } from 'react-dom/client';
import { App } from './app.tsx';
import { client } from './chat-client.ts';
import { applyTheme } from './theme.ts';
import { NoticeBoard } from './notice.tsx';

applyTheme();
// After a server update, the files that are loaded on demand have new names, so reload the page.
addEventListener('vite:preloadError', () => location.reload());

const root = document.getElementById('root');
if (root === null) throw new Error('The page has no root.');
createRoot(root).render(
  <StrictMode>
    <ParleyProvider client={client}>
      <NoticeBoard>
        <App />
      </NoticeBoard>
    </ParleyProvider>
  </StrictMode>,
);
