import { Webhook } from 'standardwebhooks';
import { afterEach, beforeAll, expect, test } from 'vitest';
import { encodeId } from '../../src/core/id.ts';
import { createGroup, keyOf, say } from '../support/chat.ts';
import { signUpAll, type Person } from '../support/client.ts';
import { removePerson } from '../support/membership.ts';
import { deleteMessage, editMessage } from '../support/message.ts';
import { complaintsOf, startServer, type TestServer } from '../support/server.ts';
import { endSession, setRoleWithSql, setServerRole, suspendUser, unsuspendUser } from '../support/staff.ts';
import {
  askForWebhook,
  createWebhook,
  deleteWebhook,
  eventIn,
  passTime,
  refuseWith,
  rotateSecret,
  updateWebhook,
  webhookDocument,
  webhookEnv,
  webhookOf,
  WebhookReceiver,
  webhookTimes,
} from '../support/webhook.ts';

let server: TestServer;
let ada: Person;
let root: Person;
let grace: Person;
let chat: string;
beforeAll(async () => {
  server = await startServer({ env: webhookEnv, overrides: { webhookTimes } });
  [ada, root, grace] = await signUpAll(server, 'ada', 'root', 'grace');
  await setRoleWithSql(server, ada, 'ADMIN');
  await setRoleWithSql(server, root, 'ADMIN');
  chat = await createGroup(grace, [ada]);
});

afterEach(() => server.sql.query('delete from webhooks'));

/** Waits until the webhook has that status. */
async function expectStatus(by: Person, id: string, status: string): Promise<void> {
  await expect.poll(async () => (await webhookOf(by, id)).status, { timeout: 10_000 }).toBe(status);
}

test('a receiver gets a ping, and then each event as its document selects it, signed, with the cursor as its id', async () => {
  const receiver = await WebhookReceiver.start();
  const { id, secret } = await createWebhook(ada, receiver.url);
  await receiver.until(({ received }) => received.length === 1);
  expect(receiver.received[0]?.json).toEqual({ ping: { webhookId: id } });
  await say(grace, chat, 'one');
  await say(grace, chat, 'two');
  await receiver.until(({ contents }) => contents.length === 2);
  expect(receiver.contents).toEqual(['one', 'two']);
  for (const { headers, body } of receiver.received) {
    expect(headers['content-type']).toBe('application/json');
    new Webhook(secret).verify(body, headers as Record<string, string>);
    expect(() => new Webhook(secret).verify(`${body} `, headers as Record<string, string>)).toThrow(
      'No matching signature found',
    );
  }
  const [first] = receiver.events;
  expect(first?.json.data.events).toEqual({
    cursor: first?.id,
    event: { __typename: 'NewMessage', message: { content: 'one', sender: { username: 'grace' } } },
  });
  await expect
    .poll(async () => webhookOf(ada, id))
    .toMatchObject({ status: 'ACTIVE', cursor: receiver.events[1]?.id, lastError: null, owner: { username: 'ada' } });
  const { recentDeliveries, lastDeliveredAt } = await webhookOf(ada, id);
  expect(
    recentDeliveries.map(({ cursor, attempt, status }: Record<string, unknown>) => [cursor, attempt, status]),
  ).toEqual([
    [receiver.events[1]?.id, 1, 204],
    [receiver.events[0]?.id, 1, 204],
    [expect.any(String), 1, 204],
  ]);
  expect(recentDeliveries[0].durationMs).toBeGreaterThanOrEqual(0);
  expect(Date.parse(lastDeliveredAt)).toBeLessThanOrEqual(Date.now());
});

test('a delivery that is not accepted is sent again, and nothing overtakes it', async () => {
  const receiver = await WebhookReceiver.start();
  let refusals = 2;
  receiver.answer = (response, { json }) => {
    const isRefused = eventIn(json) !== null && refusals-- > 0;
    response.writeHead(isRefused ? 503 : 200).end('x'.repeat(1_000));
  };
  const { id } = await createWebhook(ada, receiver.url);
  for (const content of ['one', 'two', 'three']) await say(grace, chat, content);
  await receiver.until(({ contents }) => contents.includes('three'));
  expect(receiver.contents).toEqual(['one', 'one', 'one', 'two', 'three']);
  expect(new Set(receiver.events.slice(0, 3).map((each) => each.id)).size).toBe(1);
  await expectStatus(ada, id, 'ACTIVE');
  const attempts = async () =>
    (await webhookOf(ada, id)).recentDeliveries.map(({ attempt }: { attempt: number }) => attempt);
  await expect.poll(attempts).toEqual([1, 1, 3, 2, 1, 1]);
  expect((await webhookOf(ada, id)).lastError).toBe('The receiver answered status 503.');
});

test('from the fifth failure in a row on it is FAILING, and one line in the log says so; the first success ends that', async () => {
  const receiver = await WebhookReceiver.start(refuseWith(500));
  const { id } = await createWebhook(ada, receiver.url);
  await expectStatus(ada, id, 'FAILING');
  await say(grace, chat, 'late');
  await receiver.until(({ received }) => received.length >= 8);
  receiver.answer = (response) => response.end();
  await receiver.until(({ contents }) => contents.includes('late'));
  await expectStatus(ada, id, 'ACTIVE');
  const warnings = complaintsOf(server).filter(({ webhookId }) => webhookId === keyOf(id));
  expect(warnings).toMatchObject([
    { msg: 'a webhook is failing; the server keeps trying', failures: 5, reason: 'The receiver answered status 500.' },
  ]);
});

test('a subscription for which the server has no room is retried at growing intervals, and makes the webhook FAILING', async () => {
  const crowded = await startServer({
    env: { ...webhookEnv, MAX_SUBSCRIPTION_COMPLEXITY: '1' },
    overrides: { webhookTimes },
  });
  const [owner] = await signUpAll(crowded, 'crowded_owner');
  await setRoleWithSql(crowded, owner, 'ADMIN');
  const receiver = await WebhookReceiver.start();
  const { id } = await createWebhook(owner, receiver.url);
  await expectStatus(owner, id, 'FAILING');
  expect((await webhookOf(owner, id)).lastError).toContain('MAX_SUBSCRIPTION_COMPLEXITY');
  expect(receiver.received).toHaveLength(1);
});

test('an answer of 410 pauses the webhook; once it is resumed, nothing is missing', async () => {
  const receiver = await WebhookReceiver.start();
  const { id } = await createWebhook(ada, receiver.url);
  await receiver.until(({ received }) => received.length === 1);
  receiver.answer = refuseWith(410);
  await say(grace, chat, 'gone');
  await expectStatus(ada, id, 'PAUSED');
  expect((await webhookOf(ada, id)).lastError).toBe('The receiver answered status 410.');
  receiver.answer = (response) => response.end();
  await say(grace, chat, 'in the meantime');
  expect(await updateWebhook(ada, id, { isPaused: false })).toMatchObject({ __typename: 'Webhook', status: 'ACTIVE' });
  await receiver.until(({ contents }) => contents.includes('in the meantime'));
  expect(receiver.contents).toEqual(['gone', 'gone', 'in the meantime']);
});

test('a redirect counts as a failure and is not followed, and a receiver that never answers times out', async () => {
  const target = await WebhookReceiver.start();
  const receiver = await WebhookReceiver.start((response) => response.writeHead(307, { location: target.url }).end());
  const { id } = await createWebhook(ada, receiver.url);
  await expect.poll(async () => (await webhookOf(ada, id)).lastError).toContain('status 307, a redirect');
  receiver.answer = () => undefined;
  await expect
    .poll(async () => (await webhookOf(ada, id)).lastError, { timeout: 10_000 })
    .toBe('no response within 1000 ms');
  expect((await webhookOf(ada, id)).recentDeliveries[0]).toMatchObject({ status: null });
  expect(target.received).toEqual([]);
});

test('a response of a gigabyte is cut off, and only its status counts', async () => {
  let sentBytes = 0;
  const chunk = Buffer.alloc(1024 * 1024);
  const receiver = await WebhookReceiver.start((response) => {
    const write = () => {
      while (sentBytes < 2 ** 30 && !response.destroyed) {
        sentBytes += chunk.length;
        if (!response.write(chunk)) return;
      }
    };
    response.on('drain', write);
    write();
  });
  await createWebhook(ada, receiver.url);
  await say(grace, chat, 'large');
  await receiver.until(({ contents }) => contents.includes('large'));
  expect(sentBytes).toBeLessThan(64 * 2 ** 20);
});

test('a receiver that asks for batches gets lists, in order and complete', async () => {
  const receiver = await WebhookReceiver.start((response) => response.writeHead(200, { prefer: 'batch' }).end());
  const contents = Array.from({ length: 120 }, (_, index) => `message ${index}`);
  const { id } = await createWebhook(ada, receiver.url);
  await receiver.until(({ received }) => received.length === 1);
  await updateWebhook(ada, id, { isPaused: true });
  for (const content of contents) await say(grace, chat, content);
  await updateWebhook(ada, id, { isPaused: false });
  await receiver.until((each) => each.contents.length >= contents.length);
  expect(receiver.contents).toEqual(contents);
  const batches = receiver.events.filter(({ json }) => Array.isArray(json));
  expect(batches.length).toBeGreaterThan(0);
  expect(receiver.events.length).toBeLessThan(60);
  for (const { id: batchId, json } of batches) expect(json.at(-1).data.events.cursor).toBe(batchId);
});

test('updateWebhook(after:) replays the events after the cursor', async () => {
  const receiver = await WebhookReceiver.start();
  const { id } = await createWebhook(ada, receiver.url);
  for (const content of ['a', 'b', 'c']) await say(grace, chat, content);
  await receiver.until(({ contents }) => contents.length === 3);
  const after = receiver.events[0]?.id;
  expect(await updateWebhook(ada, id, { after })).toMatchObject({ __typename: 'Webhook' });
  await receiver.until(({ contents }) => contents.length === 5);
  expect(receiver.contents).toEqual(['a', 'b', 'c', 'b', 'c']);
  expect(await updateWebhook(ada, id, { after: 'yesterday' })).toMatchObject({
    __typename: 'InvalidInput',
    fields: [{ path: ['after'], code: 'MALFORMED' }],
  });
});

test('objects show their state at delivery: a message that was deleted in the meantime is not sent', async () => {
  const receiver = await WebhookReceiver.start();
  const { id } = await createWebhook(ada, receiver.url);
  await receiver.until(({ received }) => received.length === 1);
  receiver.answer = refuseWith(500);
  const secret = await say(grace, chat, 'a secret');
  const draft = await say(grace, chat, 'a draft');
  await receiver.until(({ events }) => events.length > 0);
  await deleteMessage(grace, secret);
  await editMessage(grace, draft, 'the final text');
  const before = receiver.received.length;
  receiver.answer = (response) => response.end();
  await passTime(server, id);
  await receiver.until(({ events }) => events.some(({ json }) => eventIn(json)?.__typename === 'MessageEdited'));
  const since = JSON.stringify(receiver.received.slice(before).map(({ body }) => body));
  expect(since).not.toContain('a draft');
  expect(since).toContain('the final text');
});

test('after a rotation, the former secret also signs for a day', async () => {
  const receiver = await WebhookReceiver.start();
  const { id, secret } = await createWebhook(ada, receiver.url);
  const { secret: next } = await rotateSecret(ada, id);
  expect(next).toMatch(/^whsec_[A-Za-z0-9+/]{43}=$/);
  expect(next).not.toBe(secret);
  await say(grace, chat, 'signed twice');
  await receiver.until(({ contents }) => contents.includes('signed twice'));
  const last = receiver.received.at(-1);
  const headers = last?.headers as Record<string, string>;
  for (const each of [secret, next]) new Webhook(each).verify(last?.body ?? '', headers);
  await server.sql.query(
    `update webhooks set former_secret_until = clock_timestamp(), version = version + 1 where id = $1`,
    [keyOf(id)],
  );
  await say(grace, chat, 'signed once');
  await receiver.until(({ contents }) => contents.includes('signed once'));
  const after = receiver.received.at(-1);
  new Webhook(next).verify(after?.body ?? '', after?.headers as Record<string, string>);
  expect(() => new Webhook(secret).verify(after?.body ?? '', after?.headers as Record<string, string>)).toThrow(
    'No matching signature found',
  );
  const { rows } = await server.sql.query('select secret from webhooks where id = $1', [keyOf(id)]);
  expect(rows[0].secret.toString('base64')).not.toContain(next.slice(6));
});

test('a cursor that was pruned leads to one Reset, and the webhook goes on', async () => {
  const receiver = await WebhookReceiver.start();
  const { id } = await createWebhook(ada, receiver.url);
  await receiver.until(({ received }) => received.length === 1);
  await updateWebhook(ada, id, { isPaused: true });
  await say(grace, chat, 'forgotten');
  await server.sql.query(`with gone as (delete from events returning id)
    update event_log set pruned_through = greatest(pruned_through, (select max(id) from gone))`);
  await updateWebhook(ada, id, { isPaused: false });
  await receiver.until(({ events }) => events.length === 1);
  await say(grace, chat, 'remembered');
  await receiver.until(({ contents }) => contents.includes('remembered'));
  expect(receiver.events.map(({ json }) => eventIn(json).__typename)).toEqual(['Reset', 'NewMessage']);
  expect(receiver.events[0]?.id).toMatch(/^reset_/);
});

test('a webhook is revoked in the order of the log: a removed owner receives RemoveFromChat and nothing after it', async () => {
  const receiver = await WebhookReceiver.start();
  const group = await createGroup(grace, [ada]);
  await createWebhook(ada, receiver.url);
  await say(grace, group, 'first');
  await receiver.until(({ contents }) => contents.includes('first'));
  await say(grace, group, 'before');
  await removePerson(grace, group, ada.userId);
  await say(grace, group, 'after');
  await say(grace, chat, 'elsewhere');
  await receiver.until(({ contents }) => contents.includes('elsewhere'));
  expect(receiver.contents).toEqual(['first', 'before', 'elsewhere']);
  expect(receiver.events.map(({ json }) => eventIn(json).__typename)).toEqual([
    'NewMessage',
    'NewMessage',
    'RemoveFromChat',
    'NewMessage',
  ]);
});

test('a webhook for one chat pauses when its owner can no longer see the chat', async () => {
  const receiver = await WebhookReceiver.start();
  const group = await createGroup(grace, [ada]);
  const document = `subscription ($chatId: ID!) {
    chatEvents(chatId: $chatId) { cursor event { __typename ... on NewMessage { message { content } } } }
  }`;
  const { id } = await createWebhook(ada, receiver.url, { document, variables: { chatId: group } });
  await say(grace, group, 'here');
  await say(grace, chat, 'not here');
  await receiver.until(({ contents }) => contents.includes('here'));
  await removePerson(grace, group, ada.userId);
  await expectStatus(ada, id, 'PAUSED');
  expect((await webhookOf(ada, id)).lastError).toContain('no longer have access');
  expect(receiver.contents).toEqual(['here']);
});

test.each(['suspended', 'demoted'])('a webhook pauses when its owner is %s, and sends nothing more', async (how) => {
  const [owner] = await signUpAll(server, `owner_${how}`);
  await setRoleWithSql(server, owner, 'ADMIN');
  const group = await createGroup(grace, [owner]);
  const receiver = await WebhookReceiver.start();
  const { id } = await createWebhook(owner, receiver.url);
  await say(grace, group, 'before');
  await receiver.until(({ contents }) => contents.includes('before'));
  if (how === 'suspended') await suspendUser(root, owner.userId);
  else await setServerRole(root, owner.userId, 'USER');
  await say(grace, group, 'after');
  expect(await webhookOf(root, id)).toMatchObject({
    status: 'PAUSED',
    lastError:
      how === 'suspended' ? 'The owner was suspended or erased.' : 'The owner is no longer an admin of the server.',
  });
  // Another admin cannot resume the webhook.
  expect(await updateWebhook(root, id, { isPaused: false })).toMatchObject({ __typename: 'Forbidden' });
  const probe = await WebhookReceiver.start();
  await createWebhook(ada, probe.url);
  await say(grace, chat, 'probe');
  await probe.until(({ contents }) => contents.includes('probe'));
  expect(receiver.contents).toEqual(['before']);
  if (how === 'suspended') await unsuspendUser(root, owner.userId);
  else await setServerRole(root, owner.userId, 'ADMIN');
  expect(await updateWebhook(root, id, { isPaused: false })).toMatchObject({ __typename: 'Webhook', status: 'ACTIVE' });
  await receiver.until(({ contents }) => contents.includes('after'));
});

test('a document that is no longer valid after an upgrade pauses the webhook, and nothing is lost', async () => {
  const receiver = await WebhookReceiver.start();
  const { id } = await createWebhook(ada, receiver.url);
  await receiver.until(({ received }) => received.length === 1);
  const former = 'subscription { events { cursor event { ... on NewMessage { message { fieldOfFormerVersion } } } } }';
  await server.sql.query('update webhooks set document = $2 where id = $1', [keyOf(id), former]);
  await expectStatus(ada, id, 'PAUSED');
  expect((await webhookOf(ada, id)).lastError).toContain('Cannot query field "fieldOfFormerVersion"');
  await say(grace, chat, 'kept');
  await updateWebhook(ada, id, { document: webhookDocument, isPaused: false });
  await receiver.until(({ contents }) => contents.includes('kept'));
  expect(receiver.contents).toEqual(['kept']);
});

test('a slow receiver delays no other', async () => {
  const slow = await WebhookReceiver.start((response) => void setTimeout(() => response.end(), 300));
  const fast = await WebhookReceiver.start();
  await createWebhook(ada, slow.url);
  await createWebhook(ada, fast.url);
  for (let index = 0; index < 20; index += 1) await say(grace, chat, `message ${index}`);
  await fast.until(({ contents }) => contents.length === 20);
  expect(slow.contents.length).toBeLessThan(15);
});

test('bad input is refused, and names its field', async () => {
  const url = 'http://127.0.0.1:9/';
  const refusals = [
    [{ url: 'ftp://example.com' }, 'url', 'MALFORMED'],
    [{ url: 'http://user:password@example.com' }, 'url', 'NOT_ALLOWED'],
    [{ url: `https://example.com/${'x'.repeat(2_100)}` }, 'url', 'TOO_LONG'],
    [{ url, document: 'query { api { version } }' }, 'document', 'NOT_ALLOWED'],
    [{ url, document: 'subscription { nothing }' }, 'document', 'MALFORMED'],
    [{ url, document: 'subscription {' }, 'document', 'MALFORMED'],
    [{ url, document: `# ${'x'.repeat(70_000)}` }, 'document', 'TOO_LONG'],
    [{ url, after: 'now' }, 'after', 'MALFORMED'],
    [
      { url, document: 'subscription ($chatId: ID!) { chatEvents(chatId: $chatId) { cursor } }', variables: {} },
      'variables',
      'MALFORMED',
    ],
  ] as const;
  for (const [input, field, code] of refusals) {
    expect(await askForWebhook(ada, input), JSON.stringify(input).slice(0, 100)).toMatchObject({
      __typename: 'InvalidInput',
      fields: [{ path: [field], code }],
    });
  }
  const foreign = await createGroup(grace, [root]);
  const document = 'subscription ($chatId: ID!) { chatEvents(chatId: $chatId) { cursor } }';
  expect(await askForWebhook(ada, { url, document, variables: { chatId: foreign } })).toMatchObject({
    __typename: 'NotFound',
  });
});

test('only admins have webhooks; other admins see them, and can only pause, resume and delete them', async () => {
  const receiver = await WebhookReceiver.start();
  expect(await askForWebhook(grace, { url: receiver.url })).toMatchObject({ __typename: 'Forbidden' });
  const { id } = await createWebhook(ada, receiver.url);
  expect(await webhookOf(grace, id)).toBeNull();
  expect(await updateWebhook(grace, id, { isPaused: true })).toMatchObject({ __typename: 'Forbidden' });
  expect(await deleteWebhook(grace, id)).toMatchObject({ __typename: 'Forbidden' });
  expect(await webhookOf(root, id)).toMatchObject({ id, url: receiver.url });
  const { admin } = await root.ask('{ admin { webhooks(first: 1) { edges { node { id } } } } }');
  expect(admin.webhooks.edges).toEqual([{ node: { id } }]);
  for (const change of [{ url: receiver.url }, { document: webhookDocument }, { variables: {} }]) {
    expect(await updateWebhook(root, id, change)).toMatchObject({ __typename: 'Forbidden' });
  }
  expect(await rotateSecret(root, id)).toMatchObject({ __typename: 'Forbidden' });
  expect(await updateWebhook(root, id, { isPaused: true })).toMatchObject({ status: 'PAUSED' });
  expect(await deleteWebhook(root, id)).toMatchObject({ __typename: 'Webhook', id });
  expect(await deleteWebhook(root, id)).toMatchObject({ __typename: 'NotFound' });
  const { rows } = await server.sql.query(
    `select actor_id::text as actor, action from audit_entries where target_type = 'Webhook' and target_key = $1 order by id`,
    [keyOf(id)],
  );
  expect(rows).toEqual([
    { actor: keyOf(ada.userId), action: 'CREATE_WEBHOOK' },
    { actor: keyOf(root.userId), action: 'UPDATE_WEBHOOK' },
    { actor: keyOf(root.userId), action: 'DELETE_WEBHOOK' },
  ]);
});

test('a webhook does not make its owner appear online, nor in the list of devices, and outlives a change of password', async () => {
  const [owner] = await signUpAll(server, 'owner_offline');
  await setRoleWithSql(server, owner, 'ADMIN');
  const group = await createGroup(grace, [owner]);
  const receiver = await WebhookReceiver.start();
  const { id } = await createWebhook(owner, receiver.url);
  await say(grace, group, 'hello');
  await receiver.until(({ contents }) => contents.includes('hello'));
  const seen = await grace.ask('query ($id: ID!) { node(id: $id) { ... on User { presence { status } } } }', {
    id: owner.userId,
  });
  expect(seen.node.presence.status).toBe('OFFLINE');
  expect((await owner.ask('{ viewer { sessions { id } } }')).viewer.sessions).toHaveLength(1);
  const { rows } = await server.sql.query<{ id: bigint }>('select id from sessions where webhook_id = $1', [keyOf(id)]);
  const sessionId = encodeId('Session', rows[0]?.id ?? 0n);
  const revoke = 'mutation ($id: ID!) { revokeSession(sessionId: $id) { __typename } }';
  expect((await owner.ask(revoke, { id: sessionId })).revokeSession.__typename).toBe('NotFound');
  expect((await endSession(ada, sessionId)).__typename).toBe('NotFound');
  const { changePassword } = await owner.ask(
    'mutation ($input: ChangePasswordInput!) { changePassword(input: $input) { __typename } }',
    { input: { currentPassword: owner.password, newPassword: 'correct horse battery staple 7' } },
  );
  expect(changePassword.__typename).toBe('SignedIn');
  expect(await webhookOf(owner, id)).toMatchObject({ status: 'ACTIVE' });
});
