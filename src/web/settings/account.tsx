import { useClient } from 'parley-client/react';
import { graphql, query } from 'parley-client/tada';
import type { Client } from 'parley-client';
import { describeFailure } from '../failure.ts';
import { useFeatures } from '../feature.ts';
import { useLoaded } from '../load.ts';
import { useAttempt } from '../notice.tsx';
import { useUi } from '../ui.tsx';
import { DeleteAccountDialog } from './delete-account-dialog.tsx';
import { EmailAddress } from './email-address.tsx';
import { Password } from './password.tsx';
import { PersonalData } from './personal-data.tsx';

const accountDocument = graphql('query Account { viewer { email isEmailVerified hasPassword } }');
const ask = async (client: Client) => (await query(client, accountDocument)).viewer;

/**
 * The settings for the email address, the password, a copy of the user's data, signing out, and deleting the account.
 */
export function Account() {
  const client = useClient();
  const attempt = useAttempt();
  const { showDialog } = useUi();
  const hasMail = useFeatures()?.has('MAIL') === true;
  const { data: account, error } = useLoaded(ask);
  if (account === null) return <p className="muted">{error === null ? 'Loading …' : describeFailure(error)}</p>;
  const { email, isEmailVerified, hasPassword } = account;
  return (
    <>
      <EmailAddress email={email} isVerified={isEmailVerified} hasMail={hasMail} hasPassword={hasPassword} />
      <Password hasPassword={hasPassword} />
      {hasPassword && <PersonalData />}
      <section className="stack">
        <h3>Leave</h3>
        <div className="row wrap">
          <button className="button slim" onClick={() => void attempt(() => client.signOut())}>
            Sign out
          </button>
          <button className="button slim" onClick={() => void attempt(() => client.signOut({ everywhere: true }))}>
            Sign out everywhere
          </button>
          <button
            className="button slim danger"
            onClick={() =>
              showDialog(<DeleteAccountDialog hasPassword={hasPassword} onClose={() => showDialog(null)} />)
            }
          >
            Delete my account …
          </button>
        </div>
      </section>
    </>
  );
}
