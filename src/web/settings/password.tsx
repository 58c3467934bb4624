import { useClient } from 'parley-client/react';
import { graphql, query } from 'parley-client/tada';
import { useState } from 'react';
import { problemWith } from '../failure.ts';
import { Field } from '../field.tsx';
import { Failure, Form, textIn } from '../form.tsx';
import { useNotice } from '../notice.tsx';
import { signInAgain } from '../sign-in-again.ts';

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

/** A form that changes the password, which signs out all other devices. */
export function Password({ hasPassword }: { hasPassword: boolean }) {
  const client = useClient();
  const notify = useNotice();
  const [failure, setFailure] = useState<unknown>(null);
  const change = async (form: FormData) => {
    setFailure(null);
    try {
      const newPassword = textIn(form, 'new');
      const input = { currentPassword: hasPassword ? textIn(form, 'current') : null, newPassword };
      const { changePassword } = await query(client, passwordDocument, { input });
      notify('Your password has been changed. Your other devices have been signed out.');
      if (changePassword.__typename === 'SignedIn') await signInAgain(client, changePassword.viewer, newPassword);
    } catch (error) {
      setFailure(error);
    }
  };
  return (
    <section>
      <Form submit={(form) => void change(form)}>
        <h3>Password</h3>
        <Failure error={failure} fields={['newPassword']} />
        {hasPassword && (
          <Field name="current" label="Current password" type="password" autoComplete="current-password" />
        )}
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
    </section>
  );
}
