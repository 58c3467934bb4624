import { useState } from 'react';
import { useFeatures } from '../feature.ts';
import { EntryCard } from './entry-card.tsx';
import { EntryForm } from './entry-form.tsx';
import { ForgottenForm } from './forgotten-form.tsx';
import { SentNote } from './sent-note.tsx';

/** What a visitor is doing. `sent` means that the page tells the visitor that an email is on its way. */
type Step = { kind: 'sign-in' | 'sign-up' | 'forgotten' } | { kind: 'sent'; text: string };

/**
 * The page on which users sign in or sign up. `inviteCode` is the code of the invite that brought them here, which they
 * can use to sign up.
 */
export function Entry({ inviteCode, chatName }: { inviteCode: string | null; chatName: string | null }) {
  const [step, go] = useState<Step>({ kind: inviteCode === null ? 'sign-in' : 'sign-up' });
  const [email, setEmail] = useState('');
  const features = useFeatures();
  // Until the server answers, the page offers sign-up, because most servers allow it.
  const canSignUp = features === null || features.has('SIGN_UP') || features.has('SIGN_UP_BY_INVITE');
  const show = (kind: 'sign-in' | 'sign-up' | 'forgotten', label: string) => (
    <button className="link-button" onClick={() => go({ kind })}>
      {label}
    </button>
  );
  const sent = (address: string, text: string) => {
    setEmail(address);
    go({ kind: 'sent', text });
  };
  const { kind } = step;
  if (kind === 'sent') {
    return (
      <EntryCard below={show('sign-in', 'Back to sign in')}>
        <SentNote text={step.text} />
      </EntryCard>
    );
  }
  if (kind === 'forgotten') {
    return (
      <EntryCard below={show('sign-in', 'Back to sign in')}>
        <ForgottenForm email={email} onSent={sent} />
      </EntryCard>
    );
  }
  const isNew = kind === 'sign-up';
  const below = (
    <>
      {isNew && <p>Already have an account? {show('sign-in', 'Sign in')}</p>}
      {!isNew && canSignUp && <p>New here? {show('sign-up', 'Create an account')}</p>}
      {!isNew && features?.has('MAIL') && show('forgotten', 'Forgot your password?')}
    </>
  );
  return (
    <EntryCard below={below}>
      <EntryForm
        key={kind}
        isNew={isNew}
        inviteCode={inviteCode}
        chatName={chatName}
        email={email}
        setEmail={setEmail}
        onSent={sent}
      />
    </EntryCard>
  );
}
