import { expect, test } from 'vitest';
import { readConfig } from '../../src/config.ts';

const mail = {
  SMTP_URL: 'smtp://mail.example.com',
  MAIL_FROM: 'chat@example.com',
  APP_URL: 'https://chat.example.com',
};

test.each([
  ['smtp://mail.example.com', { port: 587, isSecure: false, startTls: 'WHEN_OFFERED', auth: null }],
  ['smtps://mail.example.com', { port: 465, isSecure: true }],
  [
    'smtp://ada:p%40ss@mail.example.com:2525',
    { port: 2525, startTls: 'REQUIRED', auth: { user: 'ada', pass: 'p@ss' } },
  ],
  ['smtp://ada:pass@127.0.0.1', { host: '127.0.0.1', startTls: 'WHEN_OFFERED' }],
  ['smtp://ada:pass@[::1]', { host: '::1', startTls: 'WHEN_OFFERED' }],
  ['smtp://mail.example.com?starttls=required', { startTls: 'REQUIRED' }],
  ['smtp://ada:pass@10.0.0.1?starttls=off', { startTls: 'NEVER' }],
])('SMTP_URL %s is read', (url, expected) => {
  expect(readConfig({ ...mail, SMTP_URL: url }).smtpUrl).toMatchObject(expected);
});

test.each([
  ['mail.example.com', 'it must begin with smtp:// or smtps://'],
  ['http://sesame', 'it must begin with smtp:// or smtps://'],
  ['smtp://mail.example.com/sesame', 'it must have no path'],
  ['smtp://mail.example.com?pool=sesame', 'the only parameter is starttls'],
  ['smtp://mail.example.com?starttls=sesame', 'starttls must be required or off'],
  ['smtp://ada:%sesame@mail.example.com', 'contains a % that encodes nothing'],
])('SMTP_URL does not accept "%s", says why, and does not repeat it', (url, reason) => {
  const read = () => readConfig({ ...mail, SMTP_URL: url });
  expect(read).toThrow(reason);
  expect(read).not.toThrow(/sesame/);
});

test('the sender may have a name, and APP_URL a path', () => {
  expect(readConfig({ ...mail, MAIL_FROM: 'Example Chat <chat@example.com>' }).mailFrom).toEqual({
    name: 'Example Chat',
    address: 'chat@example.com',
  });
  expect(readConfig(mail).mailFrom).toEqual({ name: '', address: 'chat@example.com' });
  expect(readConfig({ ...mail, APP_URL: 'https://example.com/chat/' }).appUrl).toBe('https://example.com/chat');
});

test.each([
  ['MAIL_FROM', 'Example Chat'],
  ['MAIL_FROM', 'a@example.com, b@example.com'],
  ['APP_URL', 'chat.example.com'],
  ['APP_URL', 'https://chat.example.com/#/'],
  ['APP_URL', 'https://chat.example.com/?a=b'],
])('%s does not accept "%s"', (name, value) => {
  expect(() => readConfig({ ...mail, [name]: value })).toThrow(`\n  ${name}: `);
});

test('a mail server needs a sender and an address of the web application', () => {
  const read = () => readConfig({ SMTP_URL: mail.SMTP_URL });
  expect(read).toThrow('MAIL_FROM: required with SMTP_URL');
  expect(read).toThrow('APP_URL: required with SMTP_URL');
});
