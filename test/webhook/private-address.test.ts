import { beforeAll, expect, test } from 'vitest';
import { keyOf } from '../support/chat.ts';
import { signUpAll, type Person } from '../support/client.ts';
import { expectSent, mailSettings, startMailServer, type MailServer } from '../support/mail.ts';
import { startServer, type TestServer } from '../support/server.ts';
import { setRoleWithSql } from '../support/staff.ts';
import {
  askForWebhook,
  createWebhook,
  passTime,
  updateWebhook,
  webhookOf,
  WebhookReceiver,
  webhookTimes,
} from '../support/webhook.ts';

const mailTimes = { poll: 50, maxBackoff: 200, lease: { expiry: 1_000, renewal: 100 } };

let mail: MailServer;
let server: TestServer;
let ada: Person;
let root: Person;
let lurker: Person;
let grace: Person;
// By default, WEBHOOK_ALLOW_PRIVATE is not set.
beforeAll(async () => {
  mail = await startMailServer();
  server = await startServer({ env: mailSettings(mail), overrides: { webhookTimes, mailTimes } });
  [ada, root, lurker, grace] = await signUpAll(server, 'ada', 'root', 'lurker', 'grace');
  for (const admin of [ada, root, lurker]) await setRoleWithSql(server, admin, 'ADMIN');
  await server.sql.query('update users set email_verified_at = now() where id = any ($1)', [
    [ada, root, grace].map(({ userId }) => keyOf(userId)),
  ]);
});

const refusal = 'the host has no public address, and WEBHOOK_ALLOW_PRIVATE is not true';

const privateAddresses = {
  'a loopback': ['127.0.0.1', '[::1]', '0.0.0.0', '2130706433'],
  'a private': ['10.1.2.3', '172.16.0.1', '192.168.1.1', '[fd12::1]'],
  'a link-local': ['169.254.169.254', '[fe80::1]'],
  'a CGNAT': ['100.64.0.1'],
  'a multicast': ['224.0.0.1', '[ff02::1]'],
  'a mapped': ['[::ffff:127.0.0.1]', '[::ffff:8.8.8.8]'],
  'a NAT64': ['[64:ff9b::7f00:1]', '[64:ff9b:1::a00:1]'],
};

test.each(Object.entries(privateAddresses))('%s address is refused as the URL of a webhook', async (_, hosts) => {
  for (const host of hosts) {
    const url = `https://${host}/hook`;
    expect(await askForWebhook(ada, { url }), url).toMatchObject({
      __typename: 'InvalidInput',
      fields: [{ path: ['url'], code: 'NOT_ALLOWED' }],
    });
  }
});

test('an unencrypted URL is refused, and a webhook cannot be moved to a private address', async () => {
  const { id } = await createWebhook(ada, 'https://receiver.invalid/');
  for (const url of ['http://receiver.example/', 'http://127.0.0.1/', 'https://10.1.2.3/']) {
    expect(await updateWebhook(ada, id, { url }), url).toMatchObject({
      __typename: 'InvalidInput',
      fields: [{ path: ['url'], code: 'NOT_ALLOWED' }],
    });
  }
  await server.sql.query('delete from webhooks');
});

test.each(Object.entries(privateAddresses))(
  'nothing is sent to %s address, whatever the URL was checked for when it was stored',
  async (_, hosts) => {
    const { id } = await createWebhook(ada, 'https://receiver.invalid/');
    for (const host of hosts) {
      // This is the state as if the webhook had been created while WEBHOOK_ALLOW_PRIVATE was true.
      await server.sql.query(
        `update webhooks set url = $2, failures = 0, version = version + 1, last_error = null where id = $1`,
        [keyOf(id), new URL(`https://${host}:9/`).href],
      );
      await passTime(server, id);
      await expect.poll(async () => (await webhookOf(ada, id)).lastError, { message: host }).toBe(refusal);
    }
    await server.sql.query('delete from webhooks');
  },
);

test('a name that leads to a private address is refused at delivery, and admins with a verified address receive one mail', async () => {
  const receiver = await WebhookReceiver.start();
  const { port } = new URL(receiver.url);
  await expectSent(server);
  mail.mails.length = 0;
  const { id } = await createWebhook(ada, `https://localhost:${port}/secret-path`);
  await expect.poll(() => webhookOf(ada, id)).toMatchObject({ status: 'FAILING', lastError: refusal });
  for (const admin of [ada, root]) {
    const { subject, text, html } = await mail.mailTo(admin.email);
    expect(subject).toBe('A webhook of chat.example.com is failing');
    for (const body of [text, html]) {
      expect(body).toContain(`localhost:${port}`);
      expect(body).not.toContain('secret-path');
    }
  }
  // Further failures do not cause further emails.
  const failures = async () => {
    const { rows } = await server.sql.query('select failures from webhooks where id = $1', [keyOf(id)]);
    return rows[0].failures;
  };
  await expect.poll(failures).toBeGreaterThan(8);
  await expectSent(server);
  expect(mail.mails.map(({ to }) => to).toSorted()).toEqual([ada.email, root.email]);
  expect(receiver.received).toEqual([]);
});
