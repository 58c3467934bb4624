import { beforeAll, expect, test } from 'vitest';
import { encodeId } from '../../src/core/id.ts';
import { createChat, keyOf, say, sendMessage } from '../support/chat.ts';
import { type Data, type Person, signUpAll } from '../support/client.ts';
import {
  addPeople,
  contentsIn,
  deleteChat,
  joinChat,
  leaveChat,
  removePerson,
  rolesIn,
  setMemberRole,
  updateChat,
} from '../support/membership.ts';
import { addReaction, deleteMessage, editMessage, pinMessage, removeReaction } from '../support/message.ts';
import type { TestServer } from '../support/server.ts';
import { sharedServer } from '../support/shared-server.ts';
import { chatEventsDocument, eventOf, followChat, openStream } from '../support/stream.ts';

let server: TestServer;
let ada: Person;
let grace: Person;
let hedy: Person;
beforeAll(async () => {
  server = await sharedServer();
  [ada, grace, hedy] = await signUpAll(server, 'ada', 'grace', 'hedy');
});

/** Creates a chat with Ada and Grace. */
async function create(type: string): Promise<string> {
  return (await createChat(ada, { type, name: 'of ada and grace', memberIds: [grace.userId] })).id;
}

const missing = {
  chat: encodeId('Chat', 2n ** 62n),
  message: encodeId('Message', 2n ** 62n),
  member: encodeId('Member', `${2n ** 62n}_1`),
};

/** Returns the results of everything that a user can do with a chat and its contents. */
async function tryAll(by: Person, { chat, message, member }: Record<'chat' | 'message' | 'member', string>) {
  await using stream = await openStream(server, by, chatEventsDocument, { variables: { chatId: chat } });
  const chatPart = 'id name lastSeq memberCount members { edges { node { id } } } messages { edges { node { id } } }';
  const answers = [
    await by.post(`query ($id: ID!) { chat(id: $id) { ${chatPart} } }`, { id: chat }),
    await by.post(`query ($id: ID!) { node(id: $id) { id ... on Chat { ${chatPart} } } }`, { id: chat }),
    await by.post('query ($ids: [ID!]!) { nodes(ids: $ids) { id } }', { ids: [chat, message, member] }),
    await by.post('mutation ($id: ID!) { startTyping(chatId: $id) }', { id: chat }),
    await by.post('mutation ($id: ID!) { markRead(chatId: $id, seq: 1) { __typename ... on Error { code } } }', {
      id: chat,
    }),
  ];
  return {
    answers: answers.map(({ status, data, errors }) => ({ status, data, errors })),
    outcomes: [
      await addPeople(by, chat, [hedy.userId]),
      await removePerson(by, chat, ada.userId),
      await setMemberRole(by, chat, by.userId, 'OWNER'),
      await joinChat(by, chat),
      await leaveChat(by, chat),
      await updateChat(by, chat, { name: 'mine' }),
      await deleteChat(by, chat),
      await sendMessage(by, chat, 'still here'),
      await editMessage(by, message, 'changed'),
      await addReaction(by, message, '👍'),
      await removeReaction(by, message, '👍'),
      await pinMessage(by, message),
      await deleteMessage(by, message),
    ],
    frames: (await stream.ended()).map(({ event, data }) => ({ event, data })),
  };
}

test.each(['GROUP', 'PRIVATE_CHANNEL'])(
  'to a user who was removed from a %s, the chat looks as if it did not exist',
  async (type) => {
    const chat = await create(type);
    const message = await say(grace, chat, 'a last word');
    const member = encodeId('Member', `${keyOf(chat)}_${keyOf(ada.userId)}`);
    expect(await contentsIn(chat, grace)).toEqual(['a last word']);
    const listed = async () => {
      const { viewer } = await grace.ask('{ viewer { chats(first: 100) { edges { node { id } } } } }');
      return viewer.chats.edges.map(({ node }: Data) => node.id);
    };
    expect(await listed()).toContain(chat);

    await removePerson(ada, chat, grace.userId);
    const tried = await tryAll(grace, { chat, message, member });
    expect(tried).toEqual(await tryAll(grace, missing));
    expect(tried.outcomes.map(({ __typename }) => __typename)).toEqual(Array(13).fill('NotFound'));
    expect(tried.answers[2]?.data).toEqual({ nodes: [null, null, null] });
    expect(await listed()).not.toContain(chat);
    expect(await rolesIn(chat, ada)).toEqual({ ada: 'OWNER' });
    expect(await contentsIn(chat, ada)).toEqual(['a last word']);
  },
);

test('a user who is removed from a public channel remains a reader of it', async () => {
  const channel = await create('PUBLIC_CHANNEL');
  await using stream = await followChat(server, grace, channel);
  await removePerson(ada, channel, grace.userId);
  await say(ada, channel, 'to all');
  const heard = (await stream.until('NewMessage')).map(eventOf);
  expect(heard.map(({ __typename }) => __typename)).toEqual(['RemoveFromChat', 'NewMessage']);
  expect(await contentsIn(channel, grace)).toEqual(['to all']);
  const asked = await grace.ask('query ($id: ID!) { chat(id: $id) { viewerMembership { id } } }', { id: channel });
  expect(asked).toEqual({ chat: { viewerMembership: null } });
  for (const outcome of [
    await sendMessage(grace, channel, 'me too'),
    await addPeople(grace, channel, [grace.userId]),
    await removePerson(grace, channel, ada.userId),
    await setMemberRole(grace, channel, grace.userId, 'OWNER'),
    await updateChat(grace, channel, { name: 'mine' }),
    await leaveChat(grace, channel),
    await deleteChat(grace, channel),
  ]) {
    expect(outcome).toMatchObject({ __typename: 'Forbidden', code: 'FORBIDDEN' });
  }
  expect(await joinChat(grace, channel)).toMatchObject({ __typename: 'Chat', memberCount: 2 });
  expect(await sendMessage(grace, channel, 'me too')).toMatchObject({ __typename: 'Message' });
});
