import { expect, test } from 'vitest';
import { signUp } from '../support/client.ts';
import { signInFrom } from '../support/forwarded.ts';
import { startServer } from '../support/server.ts';

const attempts = 300;

test('three hundred guesses at accounts that do not exist delay a known user by less than a second', async () => {
  // Each guess costs as much CPU time and memory as in production.
  const argon2 = { memoryKiB: 19_456, iterations: 2, parallelism: 1 };
  await using server = await startServer({ env: { RATE_LIMITS: 'on', TRUST_PROXY: '1' }, overrides: { argon2 } });
  const ada = await signUp(server, 'ada');
  const home = '198.51.100.7';
  expect(await signInFrom(server.url, home, ada)).toBe('SignedIn');
  const alone = await timed(() => signInFrom(server.url, home, ada));
  expect(alone.outcome).toBe('SignedIn');

  const outcomes: string[] = [];
  const flood = Array.from({ length: attempts }, async (_, index) => {
    const guess = { email: `nobody${index}@example.com`, password: 'a wrong guess' };
    outcomes.push(await signInFrom(server.url, '192.0.2.66', guess));
  });
  // Wait until the flood is under way.
  await expect.poll(() => outcomes.length, { interval: 5 }).toBeGreaterThan(0);
  const known = await timed(() => signInFrom(server.url, home, ada));
  expect(known.outcome).toBe('SignedIn');
  expect(known.ms).toBeLessThan(Math.max(1_000, 20 * alone.ms));
  // The known user's sign-in overtook the flood.
  expect(outcomes.length).toBeLessThan(attempts);
  await Promise.all(flood);
  expect(outcomes).toContain('RATE_LIMITED');
  expect(new Set(outcomes)).toEqual(new Set(['InvalidCredentials', 'RATE_LIMITED']));
}, 60_000);

async function timed(work: () => Promise<string>): Promise<{ outcome: string; ms: number }> {
  const before = performance.now();
  const outcome = await work();
  return { outcome, ms: performance.now() - before };
}
