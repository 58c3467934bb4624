import { useState } from 'react';
import { Field } from '../field.tsx';
import { Failure, Form, textIn } from '../form.tsx';
import { askAsVisitor } from '../visitor.ts';

const requestDocument = 'mutation ($email: String!) { requestPasswordReset(email: $email) }';

/** A form that requests a link with which the user can choose a new password. */
export function ForgottenForm({ email, onSent }: { email: string; onSent: (email: string, text: string) => void }) {
  const [failure, setFailure] = useState<unknown>(null);
  const request = async (form: FormData) => {
    const address = textIn(form, 'email').trim();
    try {
      await askAsVisitor(requestDocument, { email: address });
      // The server does not reveal which addresses have accounts.
      onSent(address, `If ${address} has an account, an email with a link for setting a new password is on its way.`);
    } catch (error) {
      setFailure(error);
    }
  };
  return (
    <Form submit={(form) => void request(form)}>
      <h1>Reset your password</h1>
      <p className="muted">You will receive an email with a link to choose a new password.</p>
      <Failure error={failure} fields={[]} />
      <Field autoFocus name="email" label="Email" type="email" autoComplete="email" defaultValue={email} />
      <button className="button primary">Send the link</button>
    </Form>
  );
}
