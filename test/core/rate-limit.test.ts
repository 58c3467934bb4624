import { afterEach, expect, test, vi } from 'vitest';
import { readConfig } from '../../src/config.ts';
import { readQuotas } from '../../src/core/limit.ts';
import type { Report } from '../../src/core/report.ts';
import { RateLimits } from '../../src/core/rate-limit.ts';

const noStore = { query: () => Promise.reject(new Error('this limit is counted in memory')) };

function createLimits(env: Record<string, string>) {
  const report = vi.fn<Report>();
  return { limits: new RateLimits({ quotas: readQuotas(readConfig(env)), store: noStore, report }), report };
}

const [ada, grace] = [{ userId: 1n }, { userId: 2n }];

afterEach(() => vi.useRealTimers());

test('an exhausted quota says when it is available again, and is available then', async () => {
  vi.useFakeTimers();
  const { limits } = createLimits({ RATE_LIMIT_SENDS: '2/1m' });
  await limits.take('sends', ada);
  vi.advanceTimersByTime(15_000);
  await limits.take('sends', ada);
  await expect(limits.take('sends', ada)).rejects.toMatchObject({
    message: 'You are sending messages too fast.',
    retryAfterSeconds: 45,
    reached: { limit: 'RATE_LIMIT_SENDS', count: 2, windowSeconds: 60 },
  });
  await limits.take('sends', grace);
  vi.advanceTimersByTime(45_001);
  await limits.take('sends', ada);
});

test('a quota that is reset is available again, and one unit can be given back', async () => {
  const { limits } = createLimits({ RATE_LIMIT_SENDS: '2/1m' });
  await limits.take('sends', ada, { count: 2 });
  await limits.giveBack('sends', ada);
  await limits.take('sends', ada);
  await expect(limits.refuseExhausted('sends', ada)).rejects.toThrow('You are sending messages too fast.');
  await limits.forgive('sends', ada);
  await limits.refuseExhausted('sends', ada);
  await limits.take('sends', ada, { count: 2 });
});

test('the log reports the first refusal in each window, without email addresses', async () => {
  const { limits, report } = createLimits({ RATE_LIMIT_SENDS: '1/1m' });
  const counted = { email: 'ada@example.com', address: '192.0.2.1' };
  await limits.take('sends', counted);
  for (let n = 0; n < 3; n += 1)
    await expect(limits.take('sends', counted)).rejects.toThrow('You are sending messages too fast.');
  expect(report.mock.calls).toEqual([
    ['warn', 'a rate limit was reached', { limit: 'RATE_LIMIT_SENDS', address: '192.0.2.1' }],
  ]);
});

test('with RATE_LIMITS=off, nothing is limited', async () => {
  const { limits, report } = createLimits({ RATE_LIMITS: 'off', RATE_LIMIT_SENDS: '1/1m' });
  for (let n = 0; n < 5; n += 1) await limits.take('sends', ada);
  expect(report).not.toHaveBeenCalled();
});
