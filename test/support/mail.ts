import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { buffer } from 'node:stream/consumers';
import PostalMime from 'postal-mime';
import { SMTPServer, type SMTPServerOptions } from 'smtp-server';
import { expect } from 'vitest';
import { atFileEnd } from './file-end.ts';
import type { TestServer } from './server.ts';

/** An email that arrived. `token` is the code in the link in the email's text, if there is one. */
export type ReceivedMail = {
  to: string;
  from: string;
  subject: string;
  text: string;
  html: string;
  headers: ReadonlyMap<string, string>;
  token: string;
};

/** A real SMTP server on the loopback address, which stores the emails that it receives. */
export type MailServer = {
  url: string;
  /** All emails so far, in order of arrival. */
  mails: ReceivedMail[];
  /** Returns the next email to that address that no earlier call has returned. */
  mailTo: (email: string) => Promise<ReceivedMail>;
  /** Stops listening, and closes its connections. */
  stop: () => Promise<void>;
  /** Listens again on the same port. */
  start: () => Promise<void>;
};

/** Starts a mail server that stops after the last test in the file. `onRcptTo` may refuse recipients. */
export async function startMailServer(options: Pick<SMTPServerOptions, 'onRcptTo'> = {}): Promise<MailServer> {
  const mails: ReceivedMail[] = [];
  const returned = new Set<ReceivedMail>();
  const waiting = new Set<() => void>();
  let port = 0;
  let server: SMTPServer | null = null;
  const start = async () => {
    server = new SMTPServer({
      authOptional: true,
      disabledCommands: ['STARTTLS'],
      closeTimeout: 1,
      ...options,
      onData: (stream, session, done) => {
        const receive = async () => {
          const raw = await buffer(stream);
          for (const { address } of session.envelope.rcptTo) mails.push(await parse(raw, address));
          done();
          for (const look of waiting) look();
        };
        void receive();
      },
    });
    server.on('error', () => {});
    server.listen(port, '127.0.0.1');
    await once(server.server, 'listening');
    ({ port } = server.server.address() as AddressInfo);
  };
  const stop = async () => {
    const closing = server;
    server = null;
    if (closing !== null) await new Promise<void>((resolve) => closing.close(() => resolve()));
  };
  const mailTo = (email: string) =>
    new Promise<ReceivedMail>((resolve) => {
      const look = () => {
        const mail = mails.find((each) => each.to === email && !returned.has(each));
        if (mail === undefined) return;
        returned.add(mail);
        waiting.delete(look);
        resolve(mail);
      };
      waiting.add(look);
      look();
    });
  await start();
  atFileEnd(stop);
  return { url: `smtp://127.0.0.1:${port}`, mails, mailTo, stop, start };
}

async function parse(raw: Buffer, to: string): Promise<ReceivedMail> {
  const { from, subject = '', text = '', html = '', headers } = await PostalMime.parse(raw);
  return {
    to,
    from: from === undefined ? '' : `${from.name} <${from.address}>`,
    subject,
    text,
    html,
    headers: new Map(headers.map(({ key, value }) => [key, value])),
    token: /#token=(\S+)/.exec(text)?.[1] ?? '',
  };
}

/**
 * Returns the settings of a server that sends its emails to this mail server. Sign-ups need no confirmed email address,
 * unless `more` says otherwise.
 */
export function mailSettings(mail: MailServer, more: Record<string, string> = {}): Record<string, string> {
  return {
    SMTP_URL: mail.url,
    MAIL_FROM: 'Example Chat <chat@example.com>',
    APP_URL: 'https://chat.example.com',
    SIGN_UP_CONFIRM: 'off',
    ...more,
  };
}

/** Waits until the server has nothing left to send, so that an email that has not arrived by then never will. */
export async function expectSent(server: TestServer): Promise<void> {
  await expect
    .poll(async () => (await server.sql.query('select from mails')).rowCount, { timeout: 20_000, interval: 20 })
    .toBe(0);
}
