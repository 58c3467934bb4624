import { useClient } from 'parley-client/react';
import { graphql, query } from 'parley-client/tada';
import { useState } from 'react';
import { problemWith } from '../failure.ts';
import { Field } from '../field.tsx';
import { Failure, Form, textIn } from '../form.tsx';
import { useAttempt, useNotice } from '../notice.tsx';

const passwordDocument = graphql(`
  mutation ChangePassword($input: ChangePasswordInput!) {
    changePassword(input: $input) {
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
      ... on SignedIn {
        viewer {
          email
          sessions {
            id
          }
        }
      }
    }
  }
`);
const revokeDocument = graphql('mutation RevokeSession($id: ID!) { revokeSession(sessionId: $id) { __typename } }');

/** The password, and signing out. */
export function Account() {
  const client = useClient();
  const attempt = useAttempt();
  const notify = useNotice();
  const [failure, setFailure] = useState<unknown>(null);
  const change = async (form: FormData) => {
    setFailure(null);
    try {
      const input = { currentPassword: textIn(form, 'current'), newPassword: textIn(form, 'new') };
      const { changePassword } = await query(client, passwordDocument, { input });
      const viewer = changePassword.__typename === 'SignedIn' ? changePassword.viewer : null;
      notify('Your password is changed. Your other devices are signed out.');
      if (viewer?.email == null) return;
      await client.signIn({ email: viewer.email, password: input.newPassword });
      // The change has begun a session of its own, which no device uses now.
      for (const { id } of viewer.sessions) await query(client, revokeDocument, { id });
    } catch (error) {
      setFailure(error);
    }
  };
  return (
    <>
      <Form submit={(form) => void change(form)}>
        <Failure error={failure} fields={['newPassword']} />
        <Field name="current" label="Current password" type="password" autoComplete="current-password" />
        <Field
          name="new"
          label="New password"
          type="password"
          autoComplete="new-password"
          problem={problemWith(failure, 'newPassword')}
        />
        <div className="row">
          <button className="button primary slim">Change password</button>
        </div>
      </Form>
      <div className="row">
        <button className="button slim" onClick={() => void attempt(() => client.signOut())}>
          Sign out
        </button>
        <button className="button slim danger" onClick={() => void attempt(() => client.signOut({ everywhere: true }))}>
          Sign out everywhere
        </button>
      </div>
    </>
  );
}
