import { defaultFieldResolver, GraphQLObjectType, OperationTypeNode } from 'graphql';
import { expect, test, vi } from 'vitest';
import { schema } from '../../../src/edges.ts';
import { startBroadcastPair } from '../../support/broadcast.ts';
import { say } from '../../support/chat.ts';
import { atFileEnd } from '../../support/file-end.ts';
import { updateChat } from '../../support/membership.ts';
import { editMessage } from '../../support/message.ts';
import { eventOf, eventsDocument, followEvents, readMissed } from '../../support/stream.ts';

// A change of publisher takes seconds, and longer on a busy machine.
vi.setConfig({ testTimeout: 60_000 });

const held = Promise.withResolvers<void>();
let heldCount = 0;

/**
 * From now on, makes the content of a message that says "hold" available to subscriptions only once `held` resolves.
 */
function holdMessages(): void {
  const type = schema.getType('Message');
  const field = type instanceof GraphQLObjectType ? type.getFields()['content'] : undefined;
  if (field === undefined) throw new Error('there is no Message.content');
  const original = field.resolve ?? defaultFieldResolver;
  field.resolve = async (source: { content: string }, args, context, info) => {
    if (source.content === 'hold' && info.operation.operation === OperationTypeNode.SUBSCRIPTION) {
      heldCount += 1;
      await held.promise;
    }
    return original(source, args, context, info);
  };
  atFileEnd(() => void (field.resolve = original));
}

test('the rows of an event do not make later events, or a replay, show what was before them', async () => {
  const { first, ada, grace, chatId, close } = await startBroadcastPair();
  const { eventCursor } = (await ada.ask('{ viewer { eventCursor } }')).viewer;
  holdMessages();
  const slow = await followEvents(first, grace);
  const quick = await followEvents(first, ada, {
    document: 'subscription { events { event { __typename ... on ChatUpdated { chat { name } } } } }',
  });
  await say(ada, chatId, 'hold');
  await expect.poll(() => heldCount, { timeout: 10_000 }).toBeGreaterThan(0);
  await quick.next('NewMessage');
  const id = await say(ada, chatId, 'first text');
  await quick.next('NewMessage');
  await editMessage(ada, id, 'second text');
  await quick.next('MessageEdited');
  await updateChat(ada, chatId, { name: 'second name' });
  await quick.next('ChatUpdated');
  held.resolve();
  expect(eventOf(await slow.next('MessageEdited'))).toMatchObject({ message: { content: 'second text' } });
  expect(eventOf(await slow.next('ChatUpdated'))).toMatchObject({ chat: { name: 'second name' } });
  const missed = await readMissed(first, grace, eventCursor, { document: eventsDocument });
  expect(missed.map((frame) => eventOf(frame).message?.content)).toEqual([
    'hold',
    'second text',
    'second text',
    undefined,
    undefined,
  ]);
  await slow.close();
  await quick.close();
  await close();
});
