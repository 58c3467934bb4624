import { EventEmitter } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { limitIdleness } from '../../src/http/idleness.ts';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

/**
 * Receives `bytesPerSecond` in a request for as long as `limitIdleness` allows. Returns the number of seconds after
 * which the request ended.
 */
function receive(bytesPerSecond: number, { seconds, isOurTurn = false }: { seconds: number; isOurTurn?: boolean }) {
  const ended: number[] = [];
  let second = 0;
  const request = Object.assign(new EventEmitter(), {
    socket: { bytesRead: 500 },
    complete: false,
    readableLength: isOurTurn ? 1 : 0,
    destroy: () => void ended.push(second),
  });
  limitIdleness(request as unknown as IncomingMessage);
  for (; second < seconds && ended.length === 0; second += 1) {
    vi.advanceTimersByTime(1_000);
    request.socket.bytesRead += bytesPerSecond;
  }
  request.emit('close');
  return ended[0] ?? null;
}

test('a client that sends next to nothing is cut off after half a minute', () => {
  expect(receive(10, { seconds: 600 })).toBeLessThanOrEqual(31);
});

test('a client that keeps sending, but too slowly on average, is cut off within a few minutes', () => {
  expect(receive(50, { seconds: 600 })).toBeLessThanOrEqual(120);
  expect(receive(500, { seconds: 600 })).toBeLessThanOrEqual(180);
});

test('a steady sender on a slow line may take hours', () => {
  expect(receive(2_000, { seconds: 10_000 })).toBeNull();
});

test('a client is not cut off while it waits for the server', () => {
  expect(receive(0, { seconds: 600, isOurTurn: true })).toBeNull();
});
