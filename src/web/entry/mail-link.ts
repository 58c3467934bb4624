/** Where a link in an email leads, and the code in it; see docs/mail.md. */
export type MailLink = { page: 'verify-email' | 'reset-password'; token: string };

/** The email link that opened the page; null if none did. */
export function readMailLink(): MailLink | null {
  const page = /\/(verify-email|reset-password)$/.exec(location.pathname)?.[1];
  const token = /^#token=(.+)$/.exec(location.hash)?.[1];
  if ((page !== 'verify-email' && page !== 'reset-password') || token === undefined) return null;
  return { page, token };
}

/** Replaces the address with `/`, so that the code is no longer in it. */
export function leaveMailLink(): void {
  history.replaceState(null, '', '/');
}
