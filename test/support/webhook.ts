import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import type { Overrides } from '../../src/app.ts';
import { keyOf } from './chat.ts';
import type { Data, Person, Variables } from './client.ts';
import { atFileEnd } from './file-end.ts';
import type { TestServer } from './server.ts';

/** A request that a receiver got. `json` is its body. */
export type Received = { id: string; headers: IncomingMessage['headers']; body: string; json: Data };

type Answer = (response: ServerResponse, received: Received) => unknown;

/** Accepts the request. */
const accept: Answer = (response) => response.writeHead(204).end();

/** Returns an answer that refuses the request with this status. */
export const refuseWith =
  (status: number): Answer =>
  (response) =>
    response.writeHead(status).end();

const patienceMs = 15_000;

/** A receiver for webhooks on this machine. `answer` may be changed at any time. */
export class WebhookReceiver {
  readonly received: Received[] = [];
  answer: Answer;
  readonly #server: Server;
  #wake: (() => void)[] = [];

  private constructor(answer: Answer) {
    this.answer = answer;
    this.#server = createServer((request, response) => void this.#take(request, response));
  }

  static async start(answer: Answer = accept): Promise<WebhookReceiver> {
    const receiver = new WebhookReceiver(answer);
    receiver.#server.listen(0, '127.0.0.1');
    await once(receiver.#server, 'listening');
    atFileEnd(() => receiver.stop());
    return receiver;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/hook`;
  }

  /** The requests that were received so far, except for pings. */
  get events(): Received[] {
    return this.received.filter(({ id }) => !id.startsWith('ping_'));
  }

  /** The contents of the messages in the received events, in order. */
  get contents(): string[] {
    return this.events
      .flatMap(({ json }) => (Array.isArray(json) ? json : [json]))
      .flatMap((each) => eventIn(each)?.message?.content ?? []);
  }

  /** Waits until `isThere` returns true. Checks after each request. */
  async until(isThere: (receiver: this) => boolean): Promise<void> {
    const deadline = Date.now() + patienceMs;
    while (!isThere(this)) {
      const left = deadline - Date.now();
      if (left <= 0) throw new Error(`${String(isThere)} did not hold. Received: ${JSON.stringify(this.received)}`);
      await new Promise<void>((resolve) => {
        const timeout = setTimeout(resolve, left);
        this.#wake.push(() => {
          clearTimeout(timeout);
          resolve();
        });
      });
    }
  }

  stop(): void {
    this.#server.closeAllConnections();
    this.#server.close();
  }

  async #take(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = await text(request);
    const received = {
      id: String(request.headers['webhook-id']),
      headers: request.headers,
      body,
      json: JSON.parse(body),
    };
    this.received.push(received);
    this.answer(response, received);
    for (const wake of this.#wake.splice(0)) wake();
  }
}

/** Returns the event in a delivery. */
export function eventIn(json: Data): Data {
  return Object.values<Data>(json?.data ?? {})[0]?.event ?? null;
}

/** These times are short enough for a test. */
export const webhookTimes: NonNullable<Overrides['webhookTimes']> = {
  tick: 100,
  answer: 1_000,
  retry: { first: 20, most: 100 },
};

/** The settings for a server that may deliver to receivers on this machine. */
export const webhookEnv = { WEBHOOK_ALLOW_PRIVATE: 'true' };

/** Selects the events and fields that tests check. */
export const webhookDocument = `subscription { events { cursor event {
  __typename
  ... on NewMessage { message { content sender { username } } }
  ... on MessageEdited { message { content } }
  ... on RemoveFromChat { chatId }
  ... on AddToChat { chat { id } }
  ... on NewChat { chat { id } }
  ... on Reset { reason }
} } }`;

const webhookFields = `id url document variables status cursor lastError lastDeliveredAt owner { username }
  recentDeliveries { cursor attempt status durationMs at }`;
const failure = '... on Error { message } ... on InvalidInput { fields { path code } }';

/** Any client that can send operations, that is, a user or a program. */
type Sender = Pick<Person, 'ask'>;

/** Creates a webhook. Returns the whole result. */
export async function askForWebhook(by: Sender, input: Variables): Promise<Data> {
  const document = `mutation ($input: CreateWebhookInput!) { outcome: createWebhook(input: $input) {
    __typename ... on CreatedWebhook { secret webhook { id } } ${failure}
  } }`;
  return (await by.ask(document, { input: { document: webhookDocument, ...input } })).outcome;
}

/** Creates a webhook, and returns its id and secret. */
export async function createWebhook(by: Sender, url: string, input: Variables = {}): Promise<Data> {
  const created = await askForWebhook(by, { url, ...input });
  if (created.__typename !== 'CreatedWebhook') throw new Error(`no webhook: ${JSON.stringify(created)}`);
  return { id: created.webhook.id, secret: created.secret };
}

/** Changes a webhook. Returns the whole result. */
export async function updateWebhook(by: Sender, webhookId: string, input: Variables): Promise<Data> {
  const document = `mutation ($input: UpdateWebhookInput!) { outcome: updateWebhook(input: $input) {
    __typename ... on Webhook { ${webhookFields} } ${failure}
  } }`;
  return (await by.ask(document, { input: { webhookId, ...input } })).outcome;
}

/** Gives a webhook a new secret. Returns the outcome. */
export async function rotateSecret(by: Sender, webhookId: string): Promise<Data> {
  const document = `mutation ($webhookId: ID!) { outcome: rotateWebhookSecret(webhookId: $webhookId) {
    __typename ... on CreatedWebhook { secret } ${failure}
  } }`;
  return (await by.ask(document, { webhookId })).outcome;
}

/** Deletes a webhook. Returns the outcome. */
export async function deleteWebhook(by: Sender, webhookId: string): Promise<Data> {
  const document = `mutation ($webhookId: ID!) { outcome: deleteWebhook(webhookId: $webhookId) {
    __typename ... on Webhook { id } ... on Error { message }
  } }`;
  return (await by.ask(document, { webhookId })).outcome;
}

/** Returns the webhook as that user sees it. */
export async function webhookOf(by: Sender, id: string): Promise<Data> {
  const document = `query ($id: ID!) { node(id: $id) { ... on Webhook { ${webhookFields} } } }`;
  return (await by.ask(document, { id })).node;
}

/** Makes the next attempt due now, as if the time until then had passed. */
export async function passTime(server: TestServer, webhookId: string): Promise<void> {
  await server.sql.query('update webhooks set next_attempt_at = clock_timestamp() where id = $1', [keyOf(webhookId)]);
}
