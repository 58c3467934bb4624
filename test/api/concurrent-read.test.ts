import { expect, test } from 'vitest';
import { schema } from '../../src/edges.ts';
import { addMembers, createChat, createGroup, createPublicChannel, say } from '../support/chat.ts';
import { signUpAll, type Person } from '../support/client.ts';
import { createDice, RandomWriter } from '../support/random-document.ts';
import { startServer } from '../support/server.ts';

/** A request by one of the users. */
type Request = { by: Person; text: string; variables: Record<string, unknown> };

test('many users who read at the same time get what each of them gets alone', async () => {
  const server = await startServer();
  const people = await signUpAll(server, 'ada', 'grace', 'linus', 'marge');
  const [ada, grace, linus, marge] = people;
  const group = await createGroup(ada, [grace, linus]);
  const hidden = await createGroup(grace, [marge]);
  const channel = await createPublicChannel(ada);
  const { id: single } = await createChat(ada, { type: 'SINGLE', memberIds: [grace.userId] });
  const said: [Person, string][] = [
    [ada, group],
    [grace, hidden],
    [ada, channel],
    [grace, single],
    [linus, group],
  ];
  const messages: string[] = [];
  for (const [by, chat] of said) messages.push(await say(by, chat, 'hello @ada'));
  // Marge's history begins after the messages.
  await addMembers(server, group, [marge], 3);
  const words = {
    ids: [group, hidden, channel, single, ...messages, ...people.map(({ userId }) => userId)],
    texts: ['ada', 'grace', 'hello', ''],
    aliases: ['a'],
    roots: ['viewer', 'chat', 'node', 'nodes', 'users', 'user', 'publicChannels'],
  };
  // All four people send each document.
  const requests = Array.from({ length: 30 }, (_, number) => {
    const document = new RandomWriter(schema, createDice(40_000 + number), words).write('Query');
    const text = `${document.head} { ${document.selections} } ${document.fragments}`;
    return people.map((by): Request => ({ by, text, variables: document.variables }));
  }).flat();
  const alone: string[] = [];
  for (const request of requests) alone.push(await answerTo(request));
  expect(alone.filter((answer) => answer.includes('"data":{')).length).toBeGreaterThan(requests.length / 2);
  const together = await Promise.all(requests.map(answerTo));
  for (const [index, answer] of together.entries()) expect(answer, requests[index]?.text).toBe(alone[index]);
});

async function answerTo({ by, text, variables }: Request): Promise<string> {
  const { status, data, errors } = await by.post(text, variables);
  return JSON.stringify({ status, data, errors: errors?.map((error) => JSON.stringify(error)).toSorted() });
}
