import { expect, test, vi } from 'vitest';
import { owaspCost } from '../../src/account/password.ts';
import { signUp } from '../support/client.ts';
import { startServer } from '../support/server.ts';
import { followEvents } from '../support/stream.ts';

const signIn = 'mutation ($input: SignInInput!) { signIn(input: $input) { __typename } }';

test('while 50 users sign in at the full cost, messages are sent and received', async () => {
  await using busy = await startServer({ overrides: { argon2: owaspCost } });
  const sender = await signUp(busy, 'ada');
  const { createChat } = await sender.ask(
    'mutation { createChat(input: { type: PRIVATE_CHANNEL, name: "engine" }) { ... on Chat { id } ... on Error { message } } }',
  );
  await using stream = await followEvents(busy, sender);
  let signedIn = 0;
  const crowd = Array.from({ length: 50 }, async (_, index) => {
    await busy.post(signIn, { input: { email: `crowd${index}@example.com`, password: 'the engine weaves' } });
    signedIn += 1;
  });
  await vi.waitFor(() => expect(signedIn).toBeGreaterThan(0));
  for (let count = 0; count < 5; count += 1) {
    const input = { chatId: createChat.id, content: 'still here' };
    const { sendMessage } = await sender.ask(
      'mutation ($input: SendMessageInput!) { sendMessage(input: $input) { __typename } }',
      { input },
    );
    expect(sendMessage).toEqual({ __typename: 'Message' });
    await stream.next('NewMessage');
  }
  expect(signedIn).toBeLessThan(50);
  await Promise.all(crowd);
});
