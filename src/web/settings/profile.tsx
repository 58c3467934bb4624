import { useClient, useViewer } from 'parley-client/react';
import { graphql, query } from 'parley-client/tada';
import { Avatar } from '../avatar.tsx';
import { Field } from '../field.tsx';
import { Form, textIn } from '../form.tsx';
import { useAttempt, useNotice } from '../notice.tsx';
import { PictureChoice } from '../picture-choice.tsx';

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
  const save = async (form: FormData) => {
    const name = textIn(form, 'displayName').trim();
    const displayName = name === '' ? null : name;
    if (await attempt(() => query(client, profileDocument, { displayName }))) notify('Saved.');
  };
  const choosePicture = (picture: File | null) =>
    void attempt(async () => {
      const file = picture === null ? null : await (await client.upload(picture)).done;
      await query(client, avatarDocument, { fileId: file?.id ?? null });
    });
  return (
    <>
      <PictureChoice hasPicture={user?.avatar != null} choose={choosePicture}>
        <Avatar user={user} size={64} />
      </PictureChoice>
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
