import { connect } from 'node:net';
import { contentOf } from './document.ts';
import { isWhole, now, printRequest } from './raw-http.ts';
import { serve } from './remote.ts';
import { percentile } from './statistic.ts';

/** A client that sends its next message as soon as the previous one is acknowledged. */
export type Sender = { token: string; chatId: string };

/** `query` has the variables `$chatId` and `$content`, and every successful response contains `acknowledged`. */
export type Sending = {
  port: number;
  query: string;
  acknowledged: string;
  senders: Sender[];
  warmUpMs: number;
  ms: number;
};

/** `warmUp` and `count` are the numbers of messages before and during the measurement. Percentiles are in ms. */
export type Sent = { warmUp: number; count: number; perSecond: number; p50: number; p99: number };

let started: Promise<Sent> | null = null;
let onWarm: () => void = () => undefined;

/** Runs all senders of a server in a separate process, so that their CPU time is not attributed to any server. */
const methods = {
  /** Resolves when the senders are warm, which is when the measurement starts. */
  async begin(sending: Sending): Promise<void> {
    const warm = new Promise<void>((resolve) => (onWarm = resolve));
    started = sendAll(sending);
    await Promise.race([warm, started]);
  },

  /** Resolves when the time is up and every message is acknowledged. */
  async end(): Promise<Sent> {
    if (started === null) throw new Error('the measurement has not begun');
    return started;
  },
};

/** The methods that another process can call on this one. */
export type SenderMethods = typeof methods;

async function sendAll(sending: Sending): Promise<Sent> {
  const latencies: number[] = [];
  let warmUp = 0;
  const startAt = now() + sending.warmUpMs;
  setTimeout(() => onWarm(), sending.warmUpMs);
  await Promise.all(
    sending.senders.map((sender) =>
      sendInTurn(sending, sender, startAt + sending.ms, (sentAt) => {
        if (sentAt < startAt) warmUp += 1;
        else latencies.push(now() - sentAt);
      }),
    ),
  );
  return {
    warmUp,
    count: latencies.length,
    perSecond: (latencies.length * 1000) / sending.ms,
    p50: percentile(latencies, 50),
    p99: percentile(latencies, 99),
  };
}

/** Uses one persistent connection and sends one message at a time. Resolves with the first response after `endAt`. */
function sendInTurn(sending: Sending, sender: Sender, endAt: number, onSent: (sentAt: number) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connect(sending.port, '127.0.0.1').setNoDelay(true).setEncoding('utf8');
    let sentAt = 0;
    let number = 0;
    let answer = '';
    const send = () => {
      sentAt = now();
      number += 1;
      const variables = { chatId: sender.chatId, content: contentOf(number) };
      socket.write(printRequest(JSON.stringify({ query: sending.query, variables }), sender.token));
    };
    socket.on('connect', send);
    socket.on('error', reject);
    socket.on('data', (chunk: string) => {
      answer += chunk;
      if (!isWhole(answer, Buffer.byteLength(answer))) return;
      if (!answer.includes(sending.acknowledged)) {
        reject(new Error(`not acknowledged: ${answer.slice(0, 1_000)}`));
        socket.destroy();
        return;
      }
      answer = '';
      onSent(sentAt);
      if (now() < endAt) return send();
      socket.end();
      resolve();
    });
  });
}

serve(methods);
