import { createTransport } from 'nodemailer';
import type { Sender, SmtpServer } from './smtp-server.ts';

/** An email that is ready to be sent. `messageKey` is the same for every attempt to send the same email. */
export type Mail = { messageKey: string; to: string; subject: string; text: string; html: string };

/** Sends emails. Resolves when the mail server has taken responsibility for the email; throws MailFailure otherwise. */
export type MailTransport = { send: (mail: Mail) => Promise<void> };

/**
 * What has failed. SERVER: no email can be sent at the moment. LATER: this email may be accepted later. REFUSED: this
 * email will never be accepted.
 */
export type FailureKind = 'SERVER' | 'LATER' | 'REFUSED';

/**
 * The error for an email that was not sent. Contains only data that may be logged. The mail server's response is left
 * out, because it quotes addresses.
 */
export class MailFailure extends Error {
  readonly kind: FailureKind;
  /** nodemailer's code, the SMTP command, and the status code of the server's reply. */
  readonly detail: { code: string; command: string | null; status: number | null };

  constructor(kind: FailureKind, detail: MailFailure['detail']) {
    super('the email was not sent');
    this.kind = kind;
    this.detail = detail;
  }
}

/** In ms. A mail server that does not respond for longer than this counts as down. */
const timeouts = { connectionTimeout: 10_000, greetingTimeout: 10_000, socketTimeout: 30_000, dnsTimeout: 10_000 };

/**
 * Connects to a mail server and signs in, without sending anything. Returns null if that works; otherwise returns
 * nodemailer's code for the failure. `answerMs`: how long the server may take for each reply.
 */
export async function tryMailServer(server: SmtpServer, answerMs: number): Promise<{ code: string } | null> {
  const patience = { connectionTimeout: answerMs, greetingTimeout: answerMs, socketTimeout: answerMs };
  const transporter = createTransport({ ...optionsOf(server), ...patience, dnsTimeout: answerMs });
  try {
    await transporter.verify();
    return null;
  } catch (error) {
    return { code: error instanceof Error && 'code' in error ? String(error.code) : 'an unknown error' };
  } finally {
    transporter.close();
  }
}

function optionsOf({ host, port, isSecure, startTls, auth }: SmtpServer) {
  return {
    host,
    port,
    secure: isSecure,
    requireTLS: startTls === 'REQUIRED',
    ignoreTLS: startTls === 'NEVER',
    ...(auth !== null && { auth }),
    disableFileAccess: true,
    disableUrlAccess: true,
  };
}

/** Sends emails through a mail server, with a new connection for each email. */
export function openSmtp(server: SmtpServer, from: Sender): MailTransport {
  const transporter = createTransport({ ...optionsOf(server), ...timeouts });
  const domain = from.address.replace(/.*@/s, '');
  return {
    send: async ({ messageKey, to, subject, text, html }) => {
      try {
        await transporter.sendMail({
          // The recipient is an object, because a string would be parsed as a list of addresses.
          to: { name: '', address: to },
          envelope: { from: from.address, to: [to] },
          from,
          subject,
          text,
          html,
          messageId: `<${messageKey}@${domain}>`,
          // RFC 3834: asks the recipient's system not to send automatic replies, such as vacation notices.
          headers: { 'Auto-Submitted': 'auto-generated', 'X-Auto-Response-Suppress': 'All' },
        });
      } catch (error) {
        throw toFailure(error);
      }
    },
  };
}

/** Prints the emails to a terminal instead of sending them. */
export function openTerminal(terminal: NodeJS.WritableStream): MailTransport {
  return {
    send: async ({ to, subject, text }) => {
      const indented = text.trim().replace(/^/gm, '  ');
      terminal.write(`\nEmail to ${to}, printed because SMTP_URL is not set:\n  ${subject}\n\n${indented}\n\n`);
    },
  };
}

/** Copies only codes and numbers from nodemailer's error. */
function toFailure(error: unknown): MailFailure {
  const { code, command, responseCode } = Object(error) as Record<string, unknown>;
  const detail = {
    code: typeof code === 'string' ? code : 'UNKNOWN',
    command: typeof command === 'string' ? command : null,
    status: typeof responseCode === 'number' ? responseCode : null,
  };
  return new MailFailure(kindOf(detail), detail);
}

function kindOf({ code, command, status }: MailFailure['detail']): FailureKind {
  // nodemailer itself refuses an address that cannot be expressed in SMTP.
  if (code === 'EENVELOPE' && command === 'API') return 'REFUSED';
  const concernsMail = (code === 'EENVELOPE' && command === 'RCPT TO') || (code === 'EMESSAGE' && command === 'DATA');
  // 421 means that the server is closing the connection (RFC 5321, section 3.8).
  if (!concernsMail || status === null || status === 421) return 'SERVER';
  return status >= 500 ? 'REFUSED' : 'LATER';
}
