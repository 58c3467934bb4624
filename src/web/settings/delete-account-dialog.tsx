import { useClient } from 'parley-client/react';
import { graphql, query } from 'parley-client/tada';
import { useState } from 'react';
import { Dialog } from '../dialog.tsx';
import { Field } from '../field.tsx';
import { Failure, Form, textIn } from '../form.tsx';
import { Select } from '../select.tsx';

const deleteDocument = graphql(`
  mutation DeleteAccount($password: String, $messages: ErasedMessages!) {
    deleteAccount(password: $password, messages: $messages) {
      __typename
      ... on Error {
        code
        message
      }
    }
  }
`);
const choices = { KEEP: 'Keep them, without my name', DELETE: 'Delete them' };

/** A dialog that erases the user's account. */
export function DeleteAccountDialog({ hasPassword, onClose }: { hasPassword: boolean; onClose: () => void }) {
  const client = useClient();
  const [failure, setFailure] = useState<unknown>(null);
  const erase = async (form: FormData) => {
    const messages = textIn(form, 'messages') === 'DELETE' ? 'DELETE' : 'KEEP';
    try {
      await query(client, deleteDocument, { password: hasPassword ? textIn(form, 'password') : null, messages });
    } catch (error) {
      return setFailure(error);
    }
    // The session ended when the account was deleted, so only the data on this device still has to be removed.
    await client.signOut().catch(() => {});
  };
  return (
    <Dialog title="Delete your account?" onClose={onClose} className="narrow">
      <Form submit={(form) => void erase(form)}>
        <p>Your profile, your files and your memberships are erased. This cannot be undone.</p>
        <Failure error={failure} fields={[]} />
        <Select name="messages" label="Your messages" options={choices} />
        {hasPassword && <Field name="password" label="Your password" type="password" autoComplete="current-password" />}
        <div className="row actions">
          <button type="button" className="button" onClick={onClose}>
            Cancel
          </button>
          <button className="button danger">Delete my account</button>
        </div>
      </Form>
    </Dialog>
  );
}
