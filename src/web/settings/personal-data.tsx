import { useClient } from 'parley-client/react';
import { ParleyError, type Client } from 'parley-client';
import { useState } from 'react';
import { Field } from '../field.tsx';
import { Failure, Form, textIn } from '../form.tsx';

/** Downloads all of the user's data from the server. */
export function PersonalData() {
  const client = useClient();
  const [failure, setFailure] = useState<unknown>(null);
  const [isBusy, setBusy] = useState(false);
  const download = async (form: FormData) => {
    setFailure(null);
    setBusy(true);
    try {
      save(await exportData(client, textIn(form, 'password')));
    } catch (error) {
      setFailure(error);
    }
    setBusy(false);
  };
  return (
    <section>
      <Form submit={(form) => void download(form)}>
        <h3>Your data</h3>
        <p className="muted">A zip with your profile, your messages and your files.</p>
        <Failure error={failure} fields={[]} />
        <Field name="password" label="Your password" type="password" autoComplete="current-password" />
        <div className="row">
          <button className="button slim" disabled={isBusy}>
            {isBusy ? 'Collecting …' : 'Download'}
          </button>
        </div>
      </Form>
    </section>
  );
}

/** See docs/identity.md. */
async function exportData(client: Client, password: string): Promise<Blob> {
  const { server } = client;
  const response = await server.fetch(`${server.url}/api/export`, {
    method: 'POST',
    headers: { authorization: `Bearer ${await client.token()}`, 'content-type': 'application/json' },
    body: JSON.stringify({ password }),
  });
  if (response.ok) return response.blob();
  const problem = (await response.json()) as { title: string; detail?: string };
  throw new ParleyError('FORBIDDEN', problem.detail ?? problem.title);
}

function save(zip: Blob): void {
  const link = document.createElement('a');
  link.href = URL.createObjectURL(zip);
  link.download = 'parley.zip';
  link.click();
  // The browser does not read the zip until after the click.
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}
