import type { SmtpServer } from '../mail/smtp-server.ts';
import { tryMailServer } from '../mail/transport.ts';
import { fail, ok, warn, type Check, type Finding } from './check.ts';

/** How long the mail server may take to answer each command, in ms. */
const answerMs = 4_000;

/** Checks that the mail server accepts a connection: its greeting, TLS and the login. Sends nothing. */
export function mailCheck(server: SmtpServer | null): Check {
  return { name: 'mail', run: () => checkMail(server) };
}

async function checkMail(server: SmtpServer | null): Promise<Finding[]> {
  if (server === null) return [warn('SMTP_URL is not set: no email is sent, so no one can reset a password.')];
  const failure = await tryMailServer(server, answerMs);
  const { host, port, auth } = server;
  if (failure === null) return [ok(`${host}:${port} is ready${auth === null ? '' : ', and accepts the login'}`)];
  return [fail(`${host}:${port} cannot be used: ${advice[failure.code] ?? `it failed with ${failure.code}.`}`)];
}

/** What is wrong and what to do about it, by nodemailer's error code. */
const advice: Record<string, string | undefined> = {
  EAUTH: 'it refuses the user or the password of SMTP_URL.',
  ETLS: 'TLS could not be started. Use smtps:// for port 465, or ?starttls=off if the server has no TLS.',
  ESOCKET: 'no connection, or its certificate is not valid. Check the host, the port and smtp:// or smtps://.',
  ECONNECTION: 'no connection. Check the host, the port and the firewall.',
  ETIMEDOUT: 'it does not answer. Check the host, the port, the firewall and smtp:// or smtps://.',
  EDNS: 'its name is not known. Check the host.',
};
