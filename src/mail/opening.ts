import type { Report } from '../core/report.ts';
import { MailDelivery, type DeliveryOptions } from './delivery.ts';
import type { Sender, SmtpServer } from './smtp-server.ts';
import { readTemplates } from './template.ts';
import { openSmtp, openTerminal, type MailTransport } from './transport.ts';

/** The mail settings. The configuration ensures that `mailFrom` and `appUrl` are set if `smtpUrl` is set. */
export type MailSettings = {
  smtpUrl: SmtpServer | null;
  mailFrom: Sender | null;
  appUrl: string | null;
  mailTemplates: string | null;
  /** Whether users of this server sign in with passwords, which they may need to reset. */
  hasPasswords: boolean;
};

/**
 * Prepares the delivery of emails to the mail server or, if there is none, to the terminal. Returns null if neither
 * exists, and logs this if users sign in with passwords. Throws CannotStart if the templates cannot be used.
 */
export async function openMail(
  { smtpUrl, mailFrom, appUrl, mailTemplates, hasPasswords }: MailSettings,
  terminal: { output: NodeJS.WritableStream; appUrl: string } | null,
  options: Omit<DeliveryOptions, 'transport' | 'templates' | 'appUrl'>,
): Promise<MailDelivery | null> {
  const transport = chooseTransport(smtpUrl, mailFrom, terminal?.output ?? null);
  if (transport === null) {
    warn(options.report, hasPasswords);
    return null;
  }
  return new MailDelivery({
    ...options,
    transport,
    templates: await readTemplates(mailTemplates),
    appUrl: appUrl ?? terminal?.appUrl ?? '',
  });
}

function chooseTransport(
  server: SmtpServer | null,
  from: Sender | null,
  terminal: NodeJS.WritableStream | null,
): MailTransport | null {
  if (server !== null && from !== null) return openSmtp(server, from);
  return terminal === null ? null : openTerminal(terminal);
}

/** A server without passwords does not need to send mail. */
function warn(report: Report, hasPasswords: boolean): void {
  if (!hasPasswords) return;
  report('warn', 'SMTP_URL is not set, so this server sends no mail: passwords cannot be reset');
}
