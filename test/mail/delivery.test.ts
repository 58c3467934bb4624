import { PassThrough } from 'node:stream';
import { text } from 'node:stream/consumers';
import { expect, test } from 'vitest';
import { pruneMails } from '../../src/mail/outbox.ts';
import { keyOf } from '../support/chat.ts';
import { signUp } from '../support/client.ts';
import { expectSent, mailSettings, startMailServer } from '../support/mail.ts';
import { startServer, type TestServer } from '../support/server.ts';

/** These times are short enough for a test. */
const mailTimes = { poll: 50, maxBackoff: 200, lease: { expiry: 1_000, renewal: 100 } };

const requestReset = (server: TestServer, email: string) =>
  server.ask('mutation ($email: String!) { requestPasswordReset(email: $email) }', { email });

/** Returns the warnings in the log that are about email. */
const warningsOf = ({ log }: TestServer) =>
  log.filter(({ level, msg }) => level === 'warn' && /email/.test(String(msg)));

test('while the mail server is down, no request waits; when it is back, each email arrives once', async () => {
  const mail = await startMailServer();
  await using server = await startServer({ env: mailSettings(mail), overrides: { mailTimes } });
  await mail.stop();
  const names = ['ada', 'grace', 'linus', 'hedy', 'radia', 'joan', 'annie'];
  // Each sign-up succeeds, although no email can be sent.
  await Promise.all(names.map((name) => signUp(server, name)));
  await expect.poll(() => warningsOf(server), { timeout: 10_000 }).toMatchObject([{ code: 'ESOCKET' }]);
  const { rows } = await server.sql.query('select count(*)::int as count from mails');
  expect(rows).toEqual([{ count: names.length }]);
  await mail.start();
  // The next attempts are made due now, so that the test does not have to wait.
  await server.sql.query('update mails set next_attempt_at = clock_timestamp()');
  await expectSent(server);
  expect(mail.mails.map(({ to }) => to).toSorted()).toEqual(names.map((name) => `${name}@example.com`).toSorted());
  expect(warningsOf(server)).toHaveLength(1);
  expect(JSON.stringify(server.log)).not.toContain('@example.com');
});

test('two nodes send each email once', async () => {
  const mail = await startMailServer();
  await using server = await startServer({ env: mailSettings(mail), overrides: { mailTimes } });
  await using other = await startServer({
    database: server.database,
    env: mailSettings(mail),
    overrides: { mailTimes },
  });
  const names = Array.from({ length: 12 }, (_, index) => `person${index}`);
  await Promise.all(names.map((name, index) => signUp(index % 2 === 0 ? server : other, name)));
  await expectSent(server);
  expect(mail.mails.map(({ to }) => to).toSorted()).toEqual(names.map((name) => `${name}@example.com`).toSorted());
  const ids = new Set(mail.mails.map(({ headers }) => headers.get('message-id')));
  expect(ids.size).toBe(names.length);
});

test('an email that the mail server refuses temporarily is retried, and one that it refuses permanently is not', async () => {
  let attempts = 0;
  const mail = await startMailServer({
    onRcptTo: ({ address }, _, done) => {
      if (address.startsWith('grace')) return done(Object.assign(new Error('no such user'), { responseCode: 550 }));
      attempts += 1;
      return attempts === 1 ? done(Object.assign(new Error('try later'), { responseCode: 450 })) : done();
    },
  });
  await using server = await startServer({ env: mailSettings(mail), overrides: { mailTimes } });
  await signUp(server, 'grace');
  await signUp(server, 'ada');
  await mail.mailTo('ada@example.com');
  await expectSent(server);
  expect(mail.mails).toHaveLength(1);
  expect(attempts).toBe(2);
  expect(warningsOf(server)).toMatchObject([
    { msg: 'an email was refused', kind: 'VERIFICATION', command: 'RCPT TO', status: 550 },
  ]);
  expect(JSON.stringify(server.log)).not.toContain('grace');
});

test('an address gets a few emails an hour, and requests past that are answered as usual', async () => {
  const mail = await startMailServer();
  await using server = await startServer({
    env: mailSettings(mail, { RATE_LIMITS: 'on', RATE_LIMIT_MAILS: '3/1h', TRUST_PROXY: '1' }),
    overrides: { mailTimes },
  });
  const ada = await signUp(server, 'ada');
  const request = (address: string) =>
    server.post(
      'mutation { requestPasswordReset(email: "Ada@example.com") }',
      {},
      { headers: { 'x-forwarded-for': address } },
    );
  // The first network may request three emails to one address, and other networks may request more, but only three are
  // sent in total.
  for (let count = 0; count < 5; count += 1) {
    expect((await request('192.0.2.1')).data).toEqual({ requestPasswordReset: true });
  }
  expect((await request('192.0.2.2')).data).toEqual({ requestPasswordReset: true });
  await expectSent(server);
  expect(mail.mails.filter(({ to }) => to === ada.email)).toHaveLength(3);
  expect(JSON.stringify(server.log)).not.toContain('@example.com');
  const codes = await server.sql.query('select from mail_codes where user_id = $1', [keyOf(ada.userId)]);
  expect(codes.rowCount).toBe(3);
});

test('the code requests of a network and the emails of an account are rate-limited', async () => {
  const mail = await startMailServer();
  await using server = await startServer({
    env: mailSettings(mail, { RATE_LIMITS: 'on', RATE_LIMIT_MAIL_CODES: '2/15m', RATE_LIMIT_OWN_MAILS: '1/1h' }),
    overrides: { mailTimes },
  });
  const ada = await signUp(server, 'ada');
  await requestReset(server, 'no.one@example.com');
  await server.ask('mutation { verifyEmail(token: "x") { __typename } }');
  const limited = { extensions: { code: 'RATE_LIMITED', limit: 'RATE_LIMIT_MAIL_CODES' } };
  for (const document of [
    'mutation { requestPasswordReset(email: "ada@example.com") }',
    'mutation { resetPassword(token: "x", newPassword: "x") { __typename } }',
    'mutation { verifyEmail(token: "x") { __typename } }',
  ]) {
    expect((await server.post(document)).errors).toMatchObject([limited]);
  }
  expect(await ada.ask('mutation { requestEmailVerification }')).toEqual({ requestEmailVerification: true });
  expect((await ada.post('mutation { requestEmailVerification }')).errors).toMatchObject([
    { extensions: { code: 'RATE_LIMITED', limit: 'RATE_LIMIT_OWN_MAILS' } },
  ]);
});

test('the server gives up on an email that it cannot send for three days', async () => {
  const mail = await startMailServer();
  await mail.stop();
  await using server = await startServer({ env: mailSettings(mail), overrides: { mailTimes } });
  await signUp(server, 'ada');
  await signUp(server, 'grace');
  await server.sql.query(`update mails set created_at = now() - interval '73 hours'
    where user_id = (select id from users where username = 'ada')`);
  expect(await pruneMails(server.sql, 100)).toBe(1);
  expect((await server.sql.query('select from mails')).rowCount).toBe(1);
});

test('on a terminal, emails are printed, and no sign-up has to be confirmed', async () => {
  const terminal = new PassThrough();
  const server = await startServer({ overrides: { terminal, mailTimes } });
  await signUp(server, 'ada');
  await requestReset(server, 'ada@example.com');
  await expectSent(server);
  expect((await server.ask('{ api { features } }')).api.features).toContain('MAIL');
  await server.close();
  terminal.end();
  const printed = await text(terminal);
  expect(printed).toContain('Email to ada@example.com');
  expect(printed).toMatch(/^ {2}http:\/\/localhost:0\/reset-password#token=ppr_[\w-]{43}$/m);
  expect(JSON.stringify(server.log)).not.toMatch(/ppr_|pev_/);
});

test('confirming sign-ups needs mail', async () => {
  await expect(startServer({ env: { SIGN_UP_CONFIRM: 'on' } })).rejects.toThrow(
    'SIGN_UP_CONFIRM: "on" requires SMTP_URL',
  );
});
