/** The page to which a link in an email leads, and the code in the link; see docs/mail.md. */
export type MailLink = { page: 'verify-email' | 'reset-password'; token: string };

/** Returns the email link that opened the page, or null if the page was opened in another way. */
export function readMailLink(): MailLink | null {
  const page = /\/(verify-email|reset-password)$/.exec(location.pathname)?.[1];
  const token = /^#token=(.+)$/.exec(location.hash)?.[1];
  if ((page !== 'verify-email' && page !== 'reset-password') || token === undefined) return null;
  return { page, token };
}

/** Replaces the address with `/`, so that it no longer contains the code. */
export function leaveMailLink(): void {
  history.replaceState(null, '', '/');
}
