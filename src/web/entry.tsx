import { useEffect, useState } from 'react';
import { client } from './chat-client.ts';
import { problemWith } from './failure.ts';
import { Field } from './field.tsx';
import { Failure, Form, textIn } from './form.tsx';
import { Mark } from './icon.tsx';
import { readFeatures } from './feature.ts';

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
      if (isNew) await client.signUp({ username, ...credentials, ...(inviteCode !== null && { inviteCode }) });
      else await client.signIn(credentials);
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
