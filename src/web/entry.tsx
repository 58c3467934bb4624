import { useEffect, useState } from 'react';
import { client } from './chat-client.ts';
import { problemWith } from './failure.ts';
import { Field } from './field.tsx';
import { Failure, Form, textIn } from './form.tsx';
import { Mark } from './icon.tsx';
import { readFeatures } from './feature.ts';
import { closeChat, openChat, openInvite } from './route.ts';

/** Where users sign in or up. `inviteCode`: that of an invite that brought them here; it lets them in. */
export function Entry({ inviteCode, chatName }: { inviteCode: string | null; chatName: string | null }) {
  const [isNew, setNew] = useState(inviteCode !== null);
  const canSignUp = useCanSignUp();
  return (
    <main className="entry">
      <div className="entry-card">
        <div className="brand">
          <Mark />
          <span className="wordmark">parley</span>
        </div>
        <EntryForm key={String(isNew)} isNew={isNew} inviteCode={inviteCode} chatName={chatName} />
        {canSignUp && (
          <p className="muted">
            {isNew ? 'You have an account?' : 'New here?'}{' '}
            <button className="link-button" onClick={() => setNew(!isNew)}>
              {isNew ? 'Sign in' : 'Create an account'}
            </button>
          </p>
        )}
      </div>
    </main>
  );
}

const fields = ['username', 'email', 'password'];

function EntryForm({
  isNew,
  inviteCode,
  chatName,
}: {
  isNew: boolean;
  inviteCode: string | null;
  chatName: string | null;
}) {
  const [failure, setFailure] = useState<unknown>(null);
  const [isBusy, setBusy] = useState(false);
  const enter = async (form: FormData) => {
    setBusy(true);
    const credentials = { email: textIn(form, 'email').trim(), password: textIn(form, 'password') };
    const username = textIn(form, 'username').trim();
    try {
      if (!isNew) await client.signIn(credentials);
      else if (inviteCode === null) await client.signUp({ username, ...credentials });
      else await signUpByInvite({ username, ...credentials, inviteCode });
    } catch (error) {
      setFailure(error);
      setBusy(false);
    }
  };
  const problem = (name: string) => problemWith(failure, name);
  return (
    <Form submit={(form) => void enter(form)}>
      <h1>{isNew ? 'Create your account' : 'Welcome back'}</h1>
      {chatName !== null && <p className="muted">You are invited to {chatName}.</p>}
      <Failure error={failure} fields={fields} />
      {isNew && <Field name="username" label="Username" autoComplete="username" problem={problem('username')} />}
      <Field name="email" label="Email" type="email" autoComplete="email" problem={problem('email')} />
      <Field
        name="password"
        label="Password"
        type="password"
        autoComplete={isNew ? 'new-password' : 'current-password'}
        problem={problem('password')}
      />
      <button className="button primary" disabled={isBusy}>
        {isNew ? 'Create account' : 'Sign in'}
      </button>
    </Form>
  );
}

/** Creates an account, and opens the chat that the invite leads to: the new user is a member of it. */
async function signUpByInvite(input: { inviteCode: string } & Parameters<typeof client.signUp>[0]): Promise<void> {
  // The sign-up uses the invite, so the page must not offer it to the new user once more.
  closeChat();
  try {
    await client.signUp(input);
  } catch (error) {
    openInvite(input.inviteCode);
    throw error;
  }
  const [chatId] = client.state.chatIds;
  if (chatId !== undefined) openChat(chatId);
}

/** Whether the server lets users create accounts; true until it has said so. */
function useCanSignUp(): boolean {
  const [canSignUp, setCanSignUp] = useState(true);
  useEffect(() => {
    readFeatures().then(
      (features) => setCanSignUp(features.has('SIGN_UP') || features.has('SIGN_UP_BY_INVITE')),
      () => {},
    );
  }, []);
  return canSignUp;
}
