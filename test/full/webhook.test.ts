import { expect, onTestFinished, test } from 'vitest';
import { generateKeySet } from '../../src/account/token-key.ts';
import { createGroup, keyOf, say } from '../support/chat.ts';
import { signUpAll, type Person } from '../support/client.ts';
import { createDatabase } from '../support/database.ts';
import { runServer } from '../support/server-process.ts';
import { complaintsOf, startServer } from '../support/server.ts';
import { setRoleWithSql } from '../support/staff.ts';
import { createWebhook, refuseWith, webhookEnv, webhookOf, WebhookReceiver } from '../support/webhook.ts';

/** Returns the distinct messages that a receiver got, in the order in which they first arrived. */
const firstArrivals = ({ contents }: WebhookReceiver) => [...new Set(contents)];

/** Expects every request to carry the next event, or an event that was sent before but may not have been accepted. */
function expectOrdered({ contents }: WebhookReceiver, sent: readonly string[]): void {
  let reached = -1;
  for (const place of contents.map((content) => sent.indexOf(content))) {
    expect(place).toBeLessThanOrEqual(reached + 1);
    reached = Math.max(reached, place);
  }
}

async function sayMany(by: Person, chat: string, contents: readonly string[]): Promise<void> {
  for (const content of contents) await say(by, chat, content);
}

const numbered = (name: string, count: number) => Array.from({ length: count }, (_, index) => `${name} ${index}`);

const minuteMs = 60_000;

test('a receiver that is down for an hour gets every event once it is back, in order', async () => {
  // The pauses between attempts are as long as in production (up to five minutes), but the test advances the clock.
  let aheadMs = 0;
  const times = { tick: 50, answer: 1_000, ahead: () => aheadMs };
  await using server = await startServer({ env: webhookEnv, overrides: { webhookTimes: times } });
  const [ada, grace] = await signUpAll(server, 'ada', 'grace');
  await setRoleWithSql(server, ada, 'ADMIN');
  const chat = await createGroup(grace, [ada]);
  const receiver = await WebhookReceiver.start();
  const { id } = await createWebhook(ada, receiver.url);
  await say(grace, chat, 'before');
  await receiver.until(({ contents }) => contents.includes('before'));
  receiver.answer = refuseWith(503);

  /**
   * Waits until the last attempt has been saved as a failure and the next attempt is not yet due by the advanced clock.
   */
  const untilIdle = async () => {
    await expect
      .poll(async () => {
        const { rows } = await server.sql.query(
          `select failures, node is null and next_attempt_at > clock_timestamp() + $2 * interval '1 ms' as "isIdle"
          from webhooks where id = $1`,
          [keyOf(id), aheadMs],
        );
        return rows[0].isIdle && rows[0].failures === receiver.received.length - accepted;
      })
      .toBe(true);
  };

  const accepted = receiver.received.length;
  const contents = ['before', 'as it goes down'];
  await say(grace, chat, 'as it goes down');
  await receiver.until(({ received }) => received.length > accepted);
  for (let minute = 1; minute <= 60; minute += 1) {
    await untilIdle();
    contents.push(`in minute ${minute}`);
    await say(grace, chat, `in minute ${minute}`);
    aheadMs = minute * minuteMs;
  }
  await untilIdle();
  const attempts = receiver.received.length - accepted;
  // After the first few attempts, the pauses are between two and a half and five minutes long.
  expect(attempts).toBeGreaterThan(12);
  expect(attempts).toBeLessThan(40);
  // Each attempt has sent only the first event that was not delivered yet.
  expect(firstArrivals(receiver)).toEqual(contents.slice(0, 2));
  receiver.answer = (response) => response.writeHead(204).end();
  expect((await webhookOf(ada, id)).status).toBe('FAILING');
  aheadMs += 5 * minuteMs;
  await receiver.until((each) => each.contents.at(-1) === contents.at(-1));
  expect(firstArrivals(receiver)).toEqual(contents);
  expectOrdered(receiver, contents);
  await expect.poll(async () => (await webhookOf(ada, id)).status).toBe('ACTIVE');
  expect(complaintsOf(server)).toMatchObject([{ msg: 'a webhook is failing; the server keeps trying' }]);
});

test('a node is killed in the middle of a delivery: another takes over, and every event arrives once or more, in order', async () => {
  const database = await createDatabase();
  onTestFinished(database.drop);
  const jwtKeys = generateKeySet();
  const settings = { ...webhookEnv, JWT_KEYS: jwtKeys };
  // This node accepts the messages, but does not deliver any.
  const api = await startServer({ database, env: { ...settings, SERVE: 'api' } });
  onTestFinished(api.close);
  const run = () => runServer({ ...settings, DATABASE_URL: database.url, SERVE: 'streams' });
  const doomed = run();
  const [ada, grace] = await signUpAll(api, 'ada', 'grace');
  await setRoleWithSql(api, ada, 'ADMIN');
  const chat = await createGroup(grace, [ada]);
  const receiver = await WebhookReceiver.start();
  const { id } = await createWebhook(ada, receiver.url);
  // Only the `doomed` process can have sent this request.
  await receiver.until(({ received }) => received.length > 0);
  const holder = async () =>
    (await database.sql.query('select node from webhooks where id = $1', [keyOf(id)])).rows[0].node;
  const held = await holder();
  expect(held).toMatch(/^webhooks:/);
  const survivor = run();
  await survivor.said('streams are at ');

  const contents = numbered('message', 400);
  const killed = Promise.withResolvers<string>();
  const accept: WebhookReceiver['answer'] = (response) => response.writeHead(204).end();
  receiver.answer = (response, received) => {
    if (receiver.contents.length < 100) {
      accept(response, received);
      return;
    }
    // The request that is in progress gets no answer.
    doomed.kill('SIGKILL');
    killed.resolve(receiver.contents.at(-1) ?? '');
    receiver.answer = accept;
  };
  const sending = sayMany(grace, chat, contents);
  const pending = await killed.promise;
  expect(await holder()).toBe(held);
  expect((await doomed.ended).status).toBeNull();
  await sending;
  await receiver.until((each) => each.contents.at(-1) === contents.at(-1));
  expect(await holder()).not.toBe(held);
  expect(firstArrivals(receiver)).toEqual(contents);
  expectOrdered(receiver, contents);
  // The delivery that was in progress is sent again.
  expect(receiver.contents.filter((content) => content === pending)).toHaveLength(2);
  await expect.poll(async () => (await webhookOf(ada, id)).cursor).toBe(receiver.events.at(-1)?.id);
});
