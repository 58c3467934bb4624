import { expect, test } from 'vitest';
import { signUp } from '../support/client.ts';
import { expectSent, mailSettings, startMailServer } from '../support/mail.ts';
import { startServer } from '../support/server.ts';

/** These times are short enough for a test. */
const mailTimes = { poll: 50, maxBackoff: 200, lease: { expiry: 1_000, renewal: 100 } };

test('when a node stops while the mail server hangs, the other node sends the email again with the same id', async () => {
  const seen: string[] = [];
  const hung = Promise.withResolvers<void>();
  let isHanging = true;
  const mail = await startMailServer({
    onRcptTo: ({ address }, _, done) => {
      seen.push(address);
      if (!isHanging) return done();
      hung.resolve();
    },
  });
  const database = (await startServer()).database;
  const node = () => startServer({ database, env: mailSettings(mail), overrides: { mailTimes } });
  const first = await node();
  await signUp(first, 'ada');
  await hung.promise;
  const { rows } = await first.sql.query('select message_key as key from mails');
  isHanging = false;
  const second = await node();
  await first.close();
  const received = await mail.mailTo('ada@example.com');
  expect(received.headers.get('message-id')).toBe(`<${rows[0].key}@example.com>`);
  expect(seen).toEqual(['ada@example.com', 'ada@example.com']);
  await expectSent(second);
}, 30_000);
