import { connect, type Socket } from 'node:net';
import { decodePiece } from '../../src/live/broadcast/wire.ts';
import { serve } from '../remote.ts';
import { pieceOf } from './piece.ts';

/** Measures what it costs to send and read pieces over Redis, with as little other work as possible. */
const sockets: Socket[] = [];
let received = 0;

const methods = {
  /** Opens `count` connections, each subscribed to these sharded channels. */
  async subscribe({ port, count, channels }: { port: number; count: number; channels: string[] }): Promise<void> {
    for (let index = 0; index < count; index += 1) {
      const socket = await open(port);
      let unread = '';
      let isSubscribed: () => void = () => undefined;
      const subscribed = new Promise<void>((resolve) => (isSubscribed = resolve));
      let confirmed = 0;
      socket.on('data', (text: string) => {
        const parts = (unread + text).split('\r\n');
        unread = parts.pop() ?? '';
        for (const part of parts) {
          if (part === 'ssubscribe' && (confirmed += 1) === channels.length) isSubscribed();
          if (!part.startsWith('[')) continue;
          decodePiece(part);
          received += 1;
        }
      });
      socket.write(toCommand('SSUBSCRIBE', ...channels));
      await subscribed;
    }
  },

  /** How many messages have arrived so far. */
  received: (): number => received,

  /** Publishes `count` messages in groups of `together`. */
  async publish(task: { port: number; channels: string[]; count: number; together: number }) {
    const { port, channels, count, together } = task;
    const socket = await open(port);
    let waiting: (() => void) | null = null;
    let answers = 0;
    let expected = 0;
    socket.on('data', (text: string) => {
      answers += text.split('\r\n').length - 1;
      if (answers >= expected) waiting?.();
    });
    for (let sent = 0; sent < count; sent += together) {
      expected = sent + together;
      const answered = new Promise<void>((resolve) => (waiting = resolve));
      for (let index = 0; index < together; index += 1) {
        const channel = channels[(sent + index) % channels.length] ?? '';
        socket.write(toCommand('SPUBLISH', channel, pieceOf(sent + index)));
      }
      await answered;
    }
    socket.destroy();
  },

  close(): void {
    for (const socket of sockets.splice(0)) socket.destroy();
    received = 0;
  },
};

/** The methods that another process can call on this one. */
export type RedisClientMethods = typeof methods;

async function open(port: number): Promise<Socket> {
  const socket = connect(port, '127.0.0.1').setNoDelay(true).setEncoding('utf8');
  sockets.push(socket);
  await new Promise<void>((resolve, reject) => socket.once('connect', resolve).once('error', reject));
  return socket;
}

/** The Redis serialization protocol: https://redis.io/docs/latest/develop/reference/protocol-spec/ */
function toCommand(...words: string[]): string {
  return `*${words.length}\r\n${words.map((word) => `$${Buffer.byteLength(word)}\r\n${word}\r\n`).join('')}`;
}

serve(methods);
