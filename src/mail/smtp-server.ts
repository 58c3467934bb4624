/**
 * A mail server, as specified by SMTP_URL. `isSecure`: whether the connection uses TLS from the first byte. `startTls`:
 * whether a connection that starts without TLS is upgraded if the server offers this, must be upgraded, or is never
 * upgraded.
 */
export type SmtpServer = {
  host: string;
  port: number;
  isSecure: boolean;
  startTls: 'WHEN_OFFERED' | 'REQUIRED' | 'NEVER';
  auth: { user: string; pass: string } | null;
};

/** The sender of all emails. `name` may be empty. */
export type Sender = { name: string; address: string };

const loopback = /^(localhost|127(\.\d+){3}|\[::1\])$/;
const startTlsModes = { required: 'REQUIRED', off: 'NEVER' } as const;

/**
 * Parses a URL such as `smtp://user:password@host:587` or `smtps://…:465`. A password is never sent without TLS, except
 * to this machine or with `?starttls=off`. Throws an Error that says what is wrong and never contains the password.
 */
export function parseSmtpUrl(text: string): SmtpServer {
  const url = URL.parse(text);
  if (url === null || !['smtp:', 'smtps:'].includes(url.protocol))
    throw new Error('it must begin with smtp:// or smtps://');
  if (url.hostname === '') throw new Error('it must name a host');
  if ((url.pathname !== '' && url.pathname !== '/') || url.hash !== '') throw new Error('it must have no path');
  const isSecure = url.protocol === 'smtps:';
  const auth = url.username === '' ? null : { user: decode(url.username), pass: decode(url.password) };
  const usual = auth === null || loopback.test(url.hostname) ? 'WHEN_OFFERED' : 'REQUIRED';
  return {
    host: url.hostname.replace(/^\[|\]$/g, ''),
    port: url.port === '' ? (isSecure ? 465 : 587) : Number(url.port),
    isSecure,
    startTls: readStartTls(url.searchParams) ?? usual,
    auth,
  };
}

function readStartTls(parameters: URLSearchParams): SmtpServer['startTls'] | null {
  const names = [...parameters.keys()];
  if (names.some((name) => name !== 'starttls') || names.length > 1) throw new Error('the only parameter is starttls');
  const value = parameters.get('starttls');
  if (value === null) return null;
  if (value !== 'required' && value !== 'off') throw new Error('starttls must be required or off');
  return startTlsModes[value];
}

function decode(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    throw new Error('its user or password contains a % that encodes nothing');
  }
}

/**
 * Parses a sender such as `chat@example.com` or `Example Chat <chat@example.com>`. Throws an Error if the text has
 * neither form.
 */
export function parseSender(text: string): Sender {
  const [, name = '', named = ''] = /^([^<>"\r\n]*)<([^<>]*)>$/.exec(text) ?? ['', '', text];
  const address = named.trim();
  if (!/^[^@\s<>,;"]+@[^@\s<>,;"]+$/.test(address)) throw new Error('it has no email address');
  return { name: name.trim(), address };
}

/**
 * Parses the address of the web application that the links in emails lead to, and returns it without a trailing slash.
 * Throws an Error if it is not an http or https URL, or if it has a query, a fragment or credentials.
 */
export function parseAppUrl(text: string): string {
  const url = URL.parse(text);
  if (url === null || !['http:', 'https:'].includes(url.protocol))
    throw new Error('it must begin with https:// or http://');
  if (url.search !== '' || url.hash !== '' || url.username !== '') {
    throw new Error('it must have no query, no fragment and no credentials');
  }
  return url.href.replace(/\/+$/, '');
}
