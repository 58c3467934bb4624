import { connect } from 'node:net';
import { isWhole, now, printRequest } from '../raw-http.ts';
import { serve } from '../remote.ts';
import { percentile } from '../statistic.ts';

/** Requests to send to one server. Each connection repeats one of the requests and waits for each answer. */
export type Asking = {
  port: number;
  requests: { body: string; token: string }[];
  connections: number;
  ms: number;
};

/**
 * `p50` and `p99` are in ms. `bytes` is the average size of an answer with its headers. `sample` is the body of the
 * first answer.
 */
export type Asked = { count: number; p50: number; p99: number; bytes: number; sample: string };

/**
 * Sends reads over kept-alive connections from a separate process, so that their CPU time is not attributed to any
 * server.
 */
const methods = {
  async ask({ port, requests, connections, ms }: Asking): Promise<Asked> {
    const endAt = now() + ms;
    const latencies: number[] = [];
    const seen = { bytes: 0, sample: '' };
    await Promise.all(
      Array.from({ length: connections }, (_, index) => {
        const { body, token } = requests[index % requests.length] ?? { body: '', token: '' };
        return askInTurn(port, printRequest(body, token), (answer, took) => {
          latencies.push(took);
          seen.bytes += answer.length;
          if (seen.sample === '') seen.sample = bodyOf(answer);
          return now() < endAt;
        });
      }),
    );
    const count = latencies.length;
    return {
      count,
      p50: percentile(latencies, 50),
      p99: percentile(latencies, 99),
      bytes: seen.bytes / count,
      sample: seen.sample,
    };
  },
};

export type AskerMethods = typeof methods;

/** Sends the request repeatedly, for as long as `take` returns true. */
function askInTurn(port: number, request: string, take: (answer: string, ms: number) => boolean): Promise<void> {
  return new Promise((resolve, reject) => {
    // Decodes each byte to one character, so that lengths are in bytes.
    const socket = connect(port, '127.0.0.1').setNoDelay(true).setEncoding('latin1');
    let sentAt = 0;
    let answer = '';
    const send = () => {
      sentAt = now();
      socket.write(request);
    };
    socket.on('connect', send);
    socket.on('error', reject);
    socket.on('data', (chunk: string) => {
      answer += chunk;
      if (!isWhole(answer, answer.length)) return;
      if (!answer.startsWith('HTTP/1.1 200') || answer.includes('"errors":[')) {
        reject(new Error(answer.slice(0, 1_500)));
        socket.destroy();
        return;
      }
      const whole = answer;
      answer = '';
      if (take(whole, now() - sentAt)) return send();
      socket.end();
      resolve();
    });
  });
}

function bodyOf(answer: string): string {
  return Buffer.from(answer.slice(answer.indexOf('\r\n\r\n') + 4), 'latin1').toString('utf8');
}

serve(methods);
