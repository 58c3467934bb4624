import { setTimeout as sleep } from 'node:timers/promises';
import { encodeId } from '../../src/core/id.ts';

/** A user who performs actions, and their access token. */
export type Actor = { userId: string; token: string };
/** A chat, with its owner, its members, and the members who come and go. */
export type Chat = { id: string; owner: Actor; members: Actor[]; movable: Actor[] };

type Action = 'send' | 'edit' | 'delete' | 'react' | 'read' | 'type' | 'remove' | 'add' | 'upload' | 'hook' | 'fetch';

/** How many of every 100 actions are of each kind. */
const shares: Record<Action, number> = {
  send: 58,
  edit: 7,
  delete: 4,
  react: 10,
  read: 6,
  type: 5,
  remove: 2,
  add: 3,
  upload: 1,
  hook: 2,
  fetch: 2,
};
const actions = (Object.keys(shares) as Action[]).flatMap((action) => Array<Action>(shares[action]).fill(action));

/**
 * Simulated users who act like real users, on any node that is up. Actions that fail because of a fault are not
 * retried, except for sends.
 */
export class Traffic {
  /**
   * The clientMessageIds of the messages whose sends were acknowledged. Each of these messages must exist exactly once.
   */
  readonly acknowledged: string[] = [];
  readonly counts: Partial<Record<Action | 'failed', number>> = {};
  readonly #chats: readonly Chat[];
  readonly #pickUrl: () => string | null;
  readonly #random: () => number;
  readonly #messages: { id: string; sender: Actor; chat: Chat }[] = [];
  readonly #hooks = new Map<string, string>();
  #isStopped = false;
  #done: Promise<unknown> = Promise.resolve();
  #number = 0;

  constructor(chats: readonly Chat[], pickUrl: () => string | null, random: () => number) {
    [this.#chats, this.#pickUrl, this.#random] = [chats, pickUrl, random];
  }

  /** Lets `users` users act at the same time, each with a pause of about `pauseMs` between actions. */
  start(users: number, pauseMs: number): void {
    this.#done = Promise.all(
      Array.from({ length: users }, async () => {
        while (!this.#isStopped) {
          await this.#act(this.#pick(actions)).then(
            (action) => this.#count(action),
            () => this.#count('failed'),
          );
          await sleep(pauseMs * (0.5 + this.#random()));
        }
      }),
    );
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    await this.#done;
  }

  async #act(action: Action): Promise<Action> {
    const chat = this.#pick(this.#chats);
    const message = this.#messages.length === 0 ? undefined : this.#pick(this.#messages);
    const chatId = encodeId('Chat', BigInt(chat.id));
    const regulars = chat.members.filter((member) => !chat.movable.includes(member));
    const by = this.#pick(regulars);
    if (action === 'send' || message === undefined) return this.#send(chat, by);
    const { id } = message;
    if (action === 'edit') await this.#ask(message.sender, edit, { id, content: `edited ${(this.#number += 1)}` });
    else if (action === 'delete') await this.#ask(message.sender, remove, { id });
    else if (action === 'react')
      await this.#ask(message.chat.owner, react, { id, emoji: this.#pick(['👍', '🎉', '👀']) });
    else if (action === 'read') await this.#ask(by, history, { chatId });
    else if (action === 'type') await this.#ask(by, typing, { chatId });
    else if (action === 'remove') await this.#ask(chat.owner, removeMember, { chatId, userId: this.#movable(chat) });
    else if (action === 'add') await this.#ask(chat.owner, addMembers, { chatId, userIds: [this.#movable(chat)] });
    else if (action === 'upload') await this.#upload(by);
    else if (action === 'hook') await this.#hook(chat);
    else await this.#ask(by, chatList, {});
    return action;
  }

  #movable({ movable }: Chat): string {
    return encodeId('User', BigInt(this.#pick(movable).userId));
  }

  /** Retries the send with the same id until a node answers, as a client does. */
  async #send(chat: Chat, by: Actor): Promise<Action> {
    const clientMessageId = `soak-${(this.#number += 1)}`;
    const chatId = encodeId('Chat', BigInt(chat.id));
    const input = { chatId, clientMessageId, content: `message ${this.#number}` };
    while (!this.#isStopped) {
      const data = (await this.#ask(by, send, { input }).catch(() => null)) as { sendMessage?: { id?: string } } | null;
      const id = data?.sendMessage?.id;
      if (id !== undefined) {
        this.acknowledged.push(clientMessageId);
        this.#messages.push({ id, sender: by, chat });
        if (this.#messages.length > 500) this.#messages.shift();
        return 'send';
      }
      await sleep(200);
    }
    return 'send';
  }

  async #upload(by: Actor): Promise<void> {
    const form = new FormData();
    const bytes = new Uint8Array(20_000).map(() => Math.floor(this.#random() * 256));
    form.append('files', new Blob([bytes]), 'noise.bin');
    await this.#fetch('/api/upload', { method: 'POST', body: form, headers: { authorization: `Bearer ${by.token}` } });
  }

  async #hook(chat: Chat): Promise<void> {
    let path = this.#hooks.get(chat.id);
    if (path === undefined) {
      const created = (await this.#ask(chat.owner, createHook, { chatId: encodeId('Chat', BigInt(chat.id)) })) as {
        createIncomingWebhook: { url: string };
      };
      path = created.createIncomingWebhook.url;
      this.#hooks.set(chat.id, path);
    }
    const body = JSON.stringify({ content: `a build passed ${(this.#number += 1)}` });
    await this.#fetch(path, { method: 'POST', body, headers: { 'content-type': 'application/json' } });
  }

  async #ask(by: Actor, query: string, variables: Record<string, unknown>): Promise<unknown> {
    const headers = { 'content-type': 'application/json', authorization: `Bearer ${by.token}` };
    const body = JSON.stringify({ query, variables });
    const response = await this.#fetch('/graphql', { method: 'POST', headers, body });
    const { data, errors } = (await response.json()) as { data?: unknown; errors?: unknown };
    if (errors !== undefined) throw new Error(JSON.stringify(errors));
    return data;
  }

  async #fetch(path: string, init: RequestInit): Promise<Response> {
    const url = this.#pickUrl();
    if (url === null) throw new Error('no node is up');
    const response = await fetch(url + path, { ...init, signal: AbortSignal.timeout(5_000) });
    if (response.status >= 400) throw new Error(`${path}: ${response.status} ${await response.text()}`);
    return response;
  }

  #pick<Value>(values: readonly Value[]): Value {
    return values[Math.floor(this.#random() * values.length)] as Value;
  }

  #count(what: Action | 'failed'): void {
    this.counts[what] = (this.counts[what] ?? 0) + 1;
  }
}

const send = 'mutation ($input: SendMessageInput!) { sendMessage(input: $input) { ... on Message { id } } }';
const edit = 'mutation ($id: ID!, $content: String!) { editMessage(messageId: $id, content: $content) { __typename } }';
const remove = 'mutation ($id: ID!) { deleteMessage(messageId: $id) { __typename } }';
const react = 'mutation ($id: ID!, $emoji: String!) { addReaction(messageId: $id, emoji: $emoji) { __typename } }';
const typing = 'mutation ($chatId: ID!) { startTyping(chatId: $chatId) }';
const addMembers = `mutation ($chatId: ID!, $userIds: [ID!]!) {
  addMembers(chatId: $chatId, userIds: $userIds, history: ALL) { __typename }
}`;
const removeMember = `mutation ($chatId: ID!, $userId: ID!) {
  removeMember(chatId: $chatId, userId: $userId) { __typename }
}`;
const createHook = `mutation ($chatId: ID!) {
  createIncomingWebhook(chatId: $chatId, name: "Builds") { ... on CreatedIncomingWebhook { url } }
}`;
const history = `query ($chatId: ID!) {
  chat(id: $chatId) { lastSeq messages(last: 30) { edges { node { id seq content sender { username } } } } }
}`;
const chatList = 'query { viewer { user { username } chats(first: 20) { edges { node { id name } } } } }';
