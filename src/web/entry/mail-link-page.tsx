import { useState } from 'react';
import { client } from '../chat-client.ts';
import { problemWith } from '../failure.ts';
import { Field } from '../field.tsx';
import { Failure, Form, textIn } from '../form.tsx';
import { signInAgain, type AgainViewer } from '../sign-in-again.ts';
import { askAsVisitor } from '../visitor.ts';
import { EntryCard } from './entry-card.tsx';
import type { MailLink } from './mail-link.ts';

const verifyDocument = `mutation ($token: String!) {
  verifyEmail(token: $token) { __typename ... on EmailVerified { email } ... on Error { code message } }
}`;
const resetDocument = `mutation ($token: String!, $newPassword: String!) {
  resetPassword(token: $token, newPassword: $newPassword) {
    __typename ... on SignedIn { viewer { email sessions { id } } }
    ... on Error { code message } ... on InvalidInput { fields { path message } }
  }
}`;

type Props = { link: MailLink; onDone: () => void };

/** The page that opens when a user follows a link in an email. `onDone` shows the chat or the sign-in page. */
export function MailLinkPage({ link, onDone }: Props) {
  const leave = (
    <button className="link-button" onClick={onDone}>
      Go to the chat
    </button>
  );
  return (
    <EntryCard below={leave}>
      {link.page === 'verify-email' ? (
        <Verification token={link.token} onDone={onDone} />
      ) : (
        <NewPassword token={link.token} onDone={onDone} />
      )}
    </EntryCard>
  );
}

type StepProps = { token: string; onDone: () => void };

/**
 * The page waits until the user clicks a button, because some mail programs open links automatically and a code works
 * only once.
 */
function Verification({ token, onDone }: StepProps) {
  const [failure, setFailure] = useState<unknown>(null);
  const [email, setEmail] = useState<string | null>(null);
  const verify = async () => {
    try {
      const { verifyEmail } = await askAsVisitor<{ verifyEmail: { email: string } }>(verifyDocument, { token });
      setEmail(verifyEmail.email);
    } catch (error) {
      setFailure(error);
    }
  };
  if (email !== null) {
    return (
      <section className="entry-box" role="status">
        <h1>Your address is confirmed</h1>
        <p className="muted">{email} is yours.</p>
        <button className="button primary" onClick={onDone}>
          Continue
        </button>
      </section>
    );
  }
  return (
    <Form submit={() => void verify()}>
      <h1>Confirm your email address</h1>
      <Failure error={failure} fields={[]} />
      <button autoFocus className="button primary">
        Confirm
      </button>
    </Form>
  );
}

function NewPassword({ token, onDone }: StepProps) {
  const [failure, setFailure] = useState<unknown>(null);
  const [isBusy, setBusy] = useState(false);
  const reset = async (form: FormData) => {
    setBusy(true);
    try {
      const newPassword = textIn(form, 'new');
      type Data = { resetPassword: { viewer: AgainViewer } };
      const { resetPassword } = await askAsVisitor<Data>(resetDocument, { token, newPassword });
      await signInAgain(client, resetPassword.viewer, newPassword);
      onDone();
    } catch (error) {
      setFailure(error);
      setBusy(false);
    }
  };
  return (
    <Form submit={(form) => void reset(form)}>
      <h1>Choose a new password</h1>
      <p className="muted">This signs you out everywhere else.</p>
      <Failure error={failure} fields={['newPassword']} />
      <Field
        autoFocus
        name="new"
        label="New password"
        type="password"
        autoComplete="new-password"
        problem={problemWith(failure, 'newPassword')}
      />
      <button className="button primary" disabled={isBusy}>
        Set the password
      </button>
    </Form>
  );
}
