import { z } from 'zod';
import { parseAppUrl, parseSender, parseSmtpUrl } from './mail/smtp-server.ts';
import { anyText, onOrOff, parsedBy, type Setting } from './setting.ts';

const smtpUrl = parsedBy(parseSmtpUrl).describe(
  'smtp://user:password@host:587 or smtps://…:465, with ?starttls=required or off where needed',
);
const mailFrom = parsedBy(parseSender).describe('chat@example.com, or with a name: Example Chat <chat@example.com>');
const appUrl = parsedBy(parseAppUrl).describe('a URL such as https://chat.example.com');

/** The settings for sign-up and email, which config.ts includes. */
export const accountSettings = {
  signUp: {
    name: 'SIGN_UP',
    default: 'open',
    wants: z.enum(['open', 'invite', 'closed']).describe('open, invite or closed'),
    meaning: 'Who can sign up: everyone, only people who have an invite, or no one.',
  },
  signUpConfirm: {
    name: 'SIGN_UP_CONFIRM',
    default: null,
    wants: onOrOff,
    meaning:
      'Whether an account is created only after its address is confirmed by email. In that case, sign-up does not reveal which addresses have accounts. Default: on with SMTP_URL, otherwise off.',
  },
  smtpUrl: {
    name: 'SMTP_URL',
    default: null,
    wants: smtpUrl,
    meaning: 'The mail server. Without this setting, the server sends no email. Requires MAIL_FROM and APP_URL.',
    isSecret: true,
  },
  mailFrom: {
    name: 'MAIL_FROM',
    default: null,
    wants: mailFrom,
    meaning: 'The sender of all emails.',
  },
  appUrl: {
    name: 'APP_URL',
    default: null,
    wants: appUrl,
    meaning: 'The address of your web application, to which the links in emails point.',
  },
  mailTemplates: {
    name: 'MAIL_TEMPLATES',
    default: null,
    wants: anyText,
    meaning: 'A folder with your own email templates; see docs/mail.md.',
  },
  mailNewSignIn: {
    name: 'MAIL_NEW_SIGN_IN',
    default: 'on',
    wants: onOrOff,
    meaning: 'Whether users receive an email about a sign-in from a device or network that is new to their account.',
  },
} satisfies Record<string, Setting>;
