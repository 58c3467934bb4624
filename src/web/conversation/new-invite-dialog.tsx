import { useClient } from 'parley-client/react';
import { graphql, query } from 'parley-client/tada';
import { Dialog } from '../dialog.tsx';
import { durations, inMinutes } from '../duration.ts';
import { Form, textIn } from '../form.tsx';
import { useAttempt } from '../notice.tsx';
import { Select } from '../select.tsx';

const createDocument = graphql(`
  mutation CreateInvite($input: CreateInviteInput!) {
    createInvite(input: $input) {
      __typename
      ... on Error {
        code
        message
      }
    }
  }
`);

const ends = { ...durations, '': 'Never' };
const uses = { 1: '1 person', 5: '5 people', 25: '25 people', 100: '100 people', '': 'No limit' };

/** A dialog that creates a link with which other people can join a chat. */
export function NewInviteDialog({
  chatId,
  onCreated,
  onClose,
}: {
  chatId: string;
  onCreated: () => void;
  onClose: () => void;
}) {
  const client = useClient();
  const attempt = useAttempt();
  const create = async (form: FormData) => {
    const maxUses = Number(textIn(form, 'uses'));
    const input = { chatId, expiresAt: inMinutes(textIn(form, 'end')), maxUses: maxUses === 0 ? null : maxUses };
    if (!(await attempt(() => query(client, createDocument, { input })))) return;
    onCreated();
    onClose();
  };
  return (
    <Dialog title="New invite link" onClose={onClose} className="narrow">
      <Form submit={(form) => void create(form)}>
        <Select name="end" label="Expires after" options={ends} defaultValue={10_080} />
        <Select name="uses" label="Lets in" options={uses} defaultValue="" />
        <div className="row actions">
          <button type="button" className="button" onClick={onClose}>
            Cancel
          </button>
          <button className="button primary">Create link</button>
        </div>
      </Form>
    </Dialog>
  );
}
