import { onTestFinished } from 'vitest';
import pg from 'pg';
import { keyOf } from './chat.ts';
import { post, type Person } from './client.ts';

/** Sends numbered messages to its chats in turn until it is stopped. */
export class Writer {
  /** The contents of the messages that the server acknowledged. These messages must never be lost. */
  readonly acknowledged: string[] = [];
  readonly #write: (chatId: string, content: string) => Promise<boolean>;
  readonly #chatIds: string[];
  readonly #done: Promise<void>;
  #isStopped = false;

  /** `write` returns whether the message was accepted. If `write` throws, the failure is temporary. */
  constructor(chatIds: string[], write: (chatId: string, content: string) => Promise<boolean>) {
    this.#chatIds = chatIds;
    this.#write = write;
    onTestFinished(() => void (this.#isStopped = true));
    this.#done = this.#run();
  }

  /** Stops writing. Resolves when the last message has been written or has failed. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    await this.#done;
  }

  async #run(): Promise<void> {
    const name = `w${(writerCount += 1)}`;
    for (let number = 1; !this.#isStopped; number += 1) {
      const content = `${name} ${number}`;
      const chatId = this.#chatIds[number % this.#chatIds.length] ?? '';
      if (await this.#write(chatId, content).catch(() => false)) this.acknowledged.push(content);
      await new Promise((resolve) => setTimeout(resolve, gapMs));
    }
  }
}

/** The pause after each message, so that several writers can work at the same time. */
const gapMs = 4;
let writerCount = 0;

/** Writes with SQL, like psql. Does not retry a message whose outcome is unknown. */
export function writeWithSql(databaseUrl: string, chatIds: string[], sender: Person): Writer {
  const sql = new pg.Pool({ connectionString: databaseUrl, max: 1, connectionTimeoutMillis: 2_000 });
  sql.on('error', () => {});
  onTestFinished(() => sql.end());
  return new Writer(chatIds, async (chatId, content) => {
    await sql.query('insert into messages (chat_id, sender_id, content) values ($1, $2, $3)', [
      keyOf(chatId),
      keyOf(sender.userId),
      content,
    ]);
    return true;
  });
}

/**
 * Writes with `sendMessage`, and retries each message with the same clientMessageId until it is accepted or refused.
 * `server` may change its URL.
 */
export function writeWithMutation(server: { url: string }, chatIds: string[], sender: Person): Writer {
  const document = `mutation ($input: SendMessageInput!) {
    sendMessage(input: $input) { __typename ... on Message { id } ... on Error { message } }
  }`;
  return new Writer(chatIds, async (chatId, content) => {
    const input = { chatId, content, clientMessageId: content };
    for (let attempt = 0; attempt < 500; attempt += 1) {
      const answer = await post(server.url, document, { input }, { token: sender.token }).catch(() => null);
      if (answer?.data?.sendMessage?.__typename === 'Message') return true;
      if (answer?.data?.sendMessage !== undefined && answer.data.sendMessage !== null) return false;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    return false;
  });
}
