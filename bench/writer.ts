import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { contentOf } from './document.ts';
import { now } from './raw-http.ts';
import { serve } from './remote.ts';

/** The times at which the INSERT of each message was sent and its commit returned, in ms, in order of seq. */
export type Written = { firstSeq: number; sentAt: number[]; committedAt: number[]; transactions: number };

type Task = { url: string; chatId: string; senderId: string; perSecond: number; seconds: number };

/** Writes messages at a steady rate in a separate process. */
const methods = {
  /**
   * Runs one transaction at a time, which contains the messages that came due during the previous transaction, as group
   * commit does.
   */
  async write({ url, chatId, senderId, perSecond, seconds }: Task): Promise<Written> {
    const client = new pg.Client({ connectionString: url });
    await client.connect();
    const written: Written = { firstSeq: 0, sentAt: [], committedAt: [], transactions: 0 };
    const count = perSecond * seconds;
    const startedAt = now();
    while (written.sentAt.length < count) {
      const due = Math.min(count, Math.floor(((now() - startedAt) * perSecond) / 1_000) + 1) - written.sentAt.length;
      if (due <= 0) {
        // Timers are up to 1 ms late, so the rest of the wait yields to the event loop instead of using a timer.
        const waitMs = startedAt + (written.sentAt.length * 1_000) / perSecond - now();
        await (waitMs > 2 ? sleep(waitMs - 2) : nextTurn());
        continue;
      }
      const contents = Array.from({ length: due }, (_, index) => contentOf(written.sentAt.length + index));
      const sentAt = now();
      const { rows } = await client.query<{ seq: number }>({
        name: 'write',
        text: 'insert into messages (chat_id, sender_id, content) select $1, $2, unnest($3::text[]) returning seq',
        values: [chatId, senderId, contents],
      });
      const committedAt = now();
      written.firstSeq ||= rows[0]?.seq ?? 0;
      written.transactions += 1;
      for (let index = 0; index < due; index += 1) {
        written.sentAt.push(sentAt);
        written.committedAt.push(committedAt);
      }
    }
    await client.end();
    return written;
  },
};

/** The methods that another process can call on this one. */
export type WriterMethods = typeof methods;

serve(methods);
