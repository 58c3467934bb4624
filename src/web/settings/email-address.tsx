import { useClient } from 'parley-client/react';
import { graphql, query } from 'parley-client/tada';
import { useState } from 'react';
import { problemWith } from '../failure.ts';
import { Field } from '../field.tsx';
import { Failure, Form, textIn } from '../form.tsx';
import { useAttempt, useNotice } from '../notice.tsx';

const verificationDocument = graphql('mutation RequestVerification { requestEmailVerification }');
const changeDocument = graphql(`
  mutation ChangeEmail($input: ChangeEmailInput!) {
    changeEmail(input: $input) {
      __typename
      ... on Error {
        code
        message
      }
      ... on InvalidInput {
        fields {
          path
          message
        }
      }
    }
  }
`);

/** The user's email address. The address can be verified and changed only if the server sends mail. */
export function EmailAddress({
  email,
  isVerified,
  hasMail,
  hasPassword,
}: {
  email: string | null;
  isVerified: boolean;
  hasMail: boolean;
  hasPassword: boolean;
}) {
  const client = useClient();
  const attempt = useAttempt();
  const notify = useNotice();
  const [isChanging, change] = useState(false);
  const confirm = async () => {
    if (await attempt(() => query(client, verificationDocument))) notify(`An email to ${email ?? ''} is on its way.`);
  };
  return (
    <section className="stack">
      <h3>Email address</h3>
      <p>
        {email ?? 'None'}{' '}
        {email !== null && (isVerified || hasMail) && (
          <span className="tag">{isVerified ? 'Confirmed' : 'Not confirmed'}</span>
        )}
      </p>
      {hasMail && !isChanging && (
        <div className="row wrap">
          {email !== null && !isVerified && (
            <button className="button slim" onClick={() => void confirm()}>
              Send a link to confirm it
            </button>
          )}
          <button className="button slim" onClick={() => change(true)}>
            Change it
          </button>
        </div>
      )}
      {isChanging && <ChangeForm hasPassword={hasPassword} onEnd={() => change(false)} />}
    </section>
  );
}

function ChangeForm({ hasPassword, onEnd }: { hasPassword: boolean; onEnd: () => void }) {
  const client = useClient();
  const notify = useNotice();
  const [failure, setFailure] = useState<unknown>(null);
  const change = async (form: FormData) => {
    const email = textIn(form, 'email').trim();
    const currentPassword = hasPassword ? textIn(form, 'password') : null;
    try {
      await query(client, changeDocument, { input: { email, currentPassword } });
      notify(`An email to ${email} has a link that completes the change.`);
      onEnd();
    } catch (error) {
      setFailure(error);
    }
  };
  return (
    <Form submit={(form) => void change(form)}>
      <Failure error={failure} fields={['email']} />
      <Field
        autoFocus
        name="email"
        label="New address"
        type="email"
        autoComplete="email"
        problem={problemWith(failure, 'email')}
      />
      {hasPassword && <Field name="password" label="Your password" type="password" autoComplete="current-password" />}
      <div className="row">
        <button className="button primary slim">Change address</button>
        <button type="button" className="button slim" onClick={onEnd}>
          Cancel
        </button>
      </div>
    </Form>
  );
}
