import { useClient, useViewer } from 'parley-client/react';
import { graphql, query } from 'parley-client/tada';
import { useRef } from 'react';
import { Avatar } from '../avatar.tsx';
import { Field } from '../field.tsx';
import { Form, textIn } from '../form.tsx';
import { useAttempt, useNotice } from '../notice.tsx';

const profileDocument = graphql(`
  mutation UpdateProfile($displayName: String) {
    updateProfile(input: { displayName: $displayName }) {
      __typename
      ... on InvalidInput {
        code
        message
        fields {
          path
          message
        }
      }
    }
  }
`);
const avatarDocument = graphql(`
  mutation SetAvatar($fileId: ID) {
    setAvatar(fileId: $fileId) {
      __typename
      ... on Error {
        code
        message
      }
    }
  }
`);

/** The user's name and picture. */
export function Profile() {
  const client = useClient();
  const user = useViewer()?.user;
  const attempt = useAttempt();
  const notify = useNotice();
  const input = useRef<HTMLInputElement>(null);
  const save = async (form: FormData) => {
    const name = textIn(form, 'displayName').trim();
    const displayName = name === '' ? null : name;
    if (await attempt(() => query(client, profileDocument, { displayName }))) notify('Saved.');
  };
  const upload = (file: File | undefined) =>
    file !== undefined &&
    void attempt(async () => {
      const { done } = await client.upload(file);
      await query(client, avatarDocument, { fileId: (await done).id });
    });
  return (
    <>
      <div className="row">
        <Avatar user={user} size={64} />
        <button className="button slim" onClick={() => input.current?.click()}>
          Change picture
        </button>
        {user?.avatar != null && (
          <button
            className="button slim"
            onClick={() => void attempt(() => query(client, avatarDocument, { fileId: null }))}
          >
            Remove
          </button>
        )}
        <input
          ref={input}
          type="file"
          accept="image/*"
          hidden
          onChange={({ target }) => {
            upload(target.files?.[0]);
            target.value = '';
          }}
        />
      </div>
      <Form submit={(form) => void save(form)}>
        <Field
          key={user?.displayName}
          name="displayName"
          label="Display name"
          required={false}
          maxLength={64}
          defaultValue={user?.displayName ?? ''}
          placeholder={user?.username}
        />
        <p className="muted small">Others can mention you as @{user?.username}.</p>
        <div className="row">
          <button className="button primary slim">Save</button>
        </div>
      </Form>
    </>
  );
}
