import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { expect } from 'vitest';

/** A connection without an HTTP client. `answer` returns everything that the server has sent so far. */
export type RawConnection = { socket: Socket; answer: () => string; closed: Promise<unknown> };

/** Opens a connection to the server with this URL. */
export function openRaw(url: string): RawConnection {
  const { hostname, port } = new URL(url);
  const socket = connect(Number(port), hostname).setEncoding('latin1');
  let answer = '';
  socket.on('data', (chunk: string) => void (answer += chunk));
  return { socket, answer: () => answer, closed: once(socket, 'close') };
}

/** Waits until the server has closed the connection, and returns the status and the message of its refusal. */
export async function refusalOf({ closed, answer }: RawConnection): Promise<{ status: number; message: string }> {
  await closed;
  const [head = '', body = ''] = answer().split('\r\n\r\n');
  const [, status] = /^HTTP\/1\.1 (\d+) /.exec(head) ?? [];
  expect(body).toHaveLength(Number(/content-length: (\d+)/.exec(head)?.[1]));
  const { errors } = JSON.parse(body);
  expect(errors).toEqual([{ message: expect.any(String), extensions: { code: 'BAD_REQUEST' } }]);
  return { status: Number(status), message: errors[0].message };
}
