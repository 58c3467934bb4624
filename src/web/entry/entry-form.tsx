import { ParleyError } from 'parley-client';
import { useState } from 'react';
import { client } from '../chat-client.ts';
import { problemWith } from '../failure.ts';
import { Field } from '../field.tsx';
import { Failure, Form, textIn } from '../form.tsx';
import { closeChat, openChat, openInvite } from '../route.ts';

const fields = ['username', 'email', 'password'];

/**
 * A form with which a visitor signs in or signs up. `onSent` is called if the server has sent an email with a link that
 * completes the sign-up.
 */
export function EntryForm({
  isNew,
  inviteCode,
  chatName,
  email,
  setEmail,
  onSent,
}: {
  isNew: boolean;
  inviteCode: string | null;
  chatName: string | null;
  email: string;
  setEmail: (email: string) => void;
  onSent: (email: string, text: string) => void;
}) {
  const [failure, setFailure] = useState<unknown>(null);
  const [isBusy, setBusy] = useState(false);
  const enter = async (form: FormData) => {
    setBusy(true);
    const credentials = { email: email.trim(), password: textIn(form, 'password') };
    const username = textIn(form, 'username').trim();
    try {
      if (!isNew) await client.signIn(credentials);
      else if (inviteCode === null) await client.signUp({ username, ...credentials });
      else await signUpByInvite({ username, ...credentials, inviteCode });
    } catch (error) {
      setBusy(false);
      if (!(error instanceof ParleyError) || error.code !== 'CONFIRM_EMAIL') return setFailure(error);
      onSent(credentials.email, `An email to ${credentials.email} contains a link that completes your sign-up.`);
    }
  };
  const problem = (name: string) => problemWith(failure, name);
  return (
    <Form submit={(form) => void enter(form)}>
      <h1>{isNew ? 'Create your account' : 'Welcome back'}</h1>
      {chatName !== null && <p className="muted">You are invited to {chatName}.</p>}
      <Failure error={failure} fields={fields} />
      {isNew && (
        <Field autoFocus name="username" label="Username" autoComplete="username" problem={problem('username')} />
      )}
      <Field
        autoFocus={!isNew}
        name="email"
        label="Email"
        type="email"
        autoComplete="email"
        value={email}
        onChange={({ target }) => setEmail(target.value)}
        problem={problem('email')}
      />
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

/** Creates an account and opens the chat that the invite leads to, because the new user is now a member of it. */
async function signUpByInvite(input: { inviteCode: string } & Parameters<typeof client.signUp>[0]): Promise<void> {
  // The sign-up uses the invite, so the page must not offer the invite to the new user again.
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
