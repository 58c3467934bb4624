import { afterEach, expect, test, vi } from 'vitest';
import { RateLimit } from '../../src/core/rate-limit.ts';

const options = { count: 2, windowMs: 60_000, maxKeys: 100, message: 'Too often.' };

afterEach(() => vi.useRealTimers());

test('a key that has used up its share is told when the window ends, and then begins afresh', () => {
  vi.useFakeTimers();
  const limit = new RateLimit(options);
  limit.take('ada');
  vi.advanceTimersByTime(15_000);
  limit.take('ada');
  expect(() => limit.take('ada')).toThrow(expect.objectContaining({ message: 'Too often.', retryAfterSeconds: 45 }));
  limit.take('grace');
  vi.advanceTimersByTime(45_001);
  limit.take('ada');
});

test('a key that is forgiven begins afresh', () => {
  const limit = new RateLimit(options);
  limit.take('ada');
  limit.take('ada');
  limit.forgive('ada');
  limit.take('ada');
  limit.take('ada');
  expect(() => limit.take('ada')).toThrow('Too often.');
});
