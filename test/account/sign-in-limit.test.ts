import { expect, test } from 'vitest';
import { signUp, type Person } from '../support/client.ts';
import { postFrom, signInFrom } from '../support/forwarded.ts';
import { startServer } from '../support/server.ts';

const signUpMutation = 'mutation ($input: SignUpInput!) { signUp(input: $input) { __typename } }';
const password = 'the engine weaves';

const startLimited = (env: Record<string, string> = {}) =>
  startServer({ env: { RATE_LIMITS: 'on', TRUST_PROXY: '1', ...env } });

const guess = (person: Pick<Person, 'email'>, index: number) => ({ email: person.email, password: `guess ${index}` });

test('after ten wrong guesses a stranger is refused even with the right password; the owner can sign in and change it', async () => {
  await using server = await startLimited();
  const ada = await signUp(server, 'ada');
  const guesses = await Promise.all(
    Array.from({ length: 30 }, (_, index) => signInFrom(server.url, '192.0.2.66', guess(ada, index))),
  );
  expect(guesses.filter((outcome) => outcome === 'InvalidCredentials')).toHaveLength(10);
  expect(guesses.filter((outcome) => outcome === 'RATE_LIMITED')).toHaveLength(20);
  expect(await signInFrom(server.url, '192.0.2.66', ada)).toBe('RATE_LIMITED');
  expect(await signInFrom(server.url, '198.51.100.7', ada)).toBe('SignedIn');
  const changed = await ada.ask(
    'mutation ($input: ChangePasswordInput!) { changePassword(input: $input) { __typename } }',
    {
      input: { currentPassword: ada.password, newPassword: password },
    },
  );
  expect(changed.changePassword).toEqual({ __typename: 'SignedIn' });
  expect(await signInFrom(server.url, '192.0.2.66', guess({ email: 'no.ada@example.com' }, 0))).toBe(
    'InvalidCredentials',
  );
  const warnings = server.log.filter(({ msg }) => msg === 'a rate limit was reached');
  expect(warnings).toEqual([
    expect.objectContaining({ level: 'warn', limit: 'RATE_LIMIT_GUESSES', address: '192.0.2.0/24' }),
  ]);
  expect(JSON.stringify(server.log)).not.toContain(ada.email);
});

test('an account that does not exist allows as many guesses as one that does', async () => {
  await using server = await startLimited();
  const outcomes = [];
  for (let index = 0; index < 12; index += 1) {
    outcomes.push(await signInFrom(server.url, '192.0.2.66', guess({ email: 'no.one@example.com' }, index)));
  }
  expect(outcomes).toEqual([...Array.from({ length: 10 }, () => 'InvalidCredentials'), 'RATE_LIMITED', 'RATE_LIMITED']);
});

test('guesses at many accounts from one IPv6 /64 count together, and other networks can still sign in', async () => {
  await using server = await startLimited({ RATE_LIMIT_FAILED_SIGN_INS: '5/15m' });
  const ada = await signUp(server, 'ada');
  const outcomes = [];
  for (let index = 0; index < 6; index += 1) {
    const nobody = { email: `nobody${index}@example.com` };
    outcomes.push(await signInFrom(server.url, `2001:db8:0:1::${index + 1}`, guess(nobody, index)));
  }
  expect(outcomes.slice(4)).toEqual(['InvalidCredentials', 'RATE_LIMITED']);
  expect(await signInFrom(server.url, '2001:db8:0:2::1', ada)).toBe('SignedIn');
});

test('many users can sign in from one network, one after the other or simultaneously', async () => {
  await using server = await startLimited({ RATE_LIMIT_FAILED_SIGN_INS: '20/15m' });
  const ada = await signUp(server, 'ada');
  for (let round = 0; round < 3; round += 1) {
    const outcomes = await Promise.all(Array.from({ length: 10 }, () => signInFrom(server.url, '192.0.2.7', ada)));
    expect(outcomes).toEqual(Array.from({ length: 10 }, () => 'SignedIn'));
  }
});

test('a successful sign-in resets the count', async () => {
  await using server = await startLimited();
  const linus = await signUp(server, 'linus');
  for (let round = 0; round < 3; round += 1) {
    for (let index = 0; index < 9; index += 1) await signInFrom(server.url, '192.0.2.7', guess(linus, index));
    expect(await signInFrom(server.url, '192.0.2.7', linus)).toBe('SignedIn');
  }
});

test('sign-up tells a network at most five times that a username or an email address is taken', async () => {
  await using server = await startLimited();
  const ada = await signUp(server, 'ada');
  const probe = (address: string, index: number) =>
    postFrom(server.url, address, {
      query: signUpMutation,
      variables: { input: { username: `probe${index}`, email: ada.email, password } },
    });
  const outcomes = [];
  for (let index = 0; index < 7; index += 1) outcomes.push(await probe('192.0.2.66', index));
  expect(outcomes.slice(0, 5)).toEqual(Array.from({ length: 5 }, () => 'Conflict'));
  expect(outcomes.slice(5)).toEqual(['RATE_LIMITED', 'RATE_LIMITED']);
  expect(await probe('198.51.100.7', 8)).toBe('Conflict');
});
