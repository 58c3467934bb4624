import { beforeAll, expect, test } from 'vitest';
import cases from './cases/mentions.json' with { type: 'json' };
import { findNames, maxMentions } from '../../src/message/mention.ts';
import {
  addMembers,
  createChat,
  createGroup,
  createPublicChannel,
  keyOf,
  removeMember,
  say,
  sendMessage,
} from '../support/chat.ts';
import { signUp, type Data, type Person } from '../support/client.ts';
import { deleteMessage, editMessage, onNode, readMessage, setRole } from '../support/message.ts';
import type { TestServer } from '../support/server.ts';
import { sharedNode, sharedServer } from '../support/shared-server.ts';
import { recordStatements } from '../support/statements.ts';
import { eventOf, followEvents } from '../support/stream.ts';

let server: TestServer;
let otherNode: TestServer;
let ada: Person;
let grace: Person;
let linus: Person;
let chatId: string;
beforeAll(async () => {
  server = await sharedServer();
  otherNode = await sharedNode(server);
  // The users sign up one after another, because mentions are ordered by the users' ids.
  ada = await signUp(server, 'ada');
  grace = await signUp(server, 'Grace');
  linus = await signUp(server, 'linus');
  chatId = await createGroup(ada, [grace]);
});

const upTo = (last: number) => Array.from({ length: last }, (_, index) => index + 1);
const namesIn = ({ mentions }: Data): string[] =>
  mentions.map(({ isEveryone, user }: Data) => (isEveryone ? 'everyone' : user.username));

/** Sends a message, and returns the users that the message mentions. */
async function mentionedBy(by: Person, chat: string, content: string): Promise<string[]> {
  return namesIn(await readMessage(by, await say(by, chat, content)));
}

/** Returns how many unread mentions a member has in a chat. */
async function unreadOf(by: Person, chat: string): Promise<number> {
  const document = 'query ($id: ID!) { chat(id: $id) { viewerMembership { unreadMentionCount } } }';
  return (await by.ask(document, { id: chat })).chat.viewerMembership.unreadMentionCount;
}

async function readTo(by: Person, chat: string, seq: number): Promise<void> {
  await server.sql.query('update members set last_read_seq = $3 where chat_id = $1 and user_id = $2', [
    keyOf(chat),
    keyOf(by.userId),
    seq,
  ]);
}

test.each([
  ['a name', '@ada', ['ada']],
  ['a name in upper or lower case', '@ADA and @grace', ['ada', 'Grace']],
  ['a name in a sentence', 'Thanks, @ada!', ['ada']],
  ['a name at the end of a sentence', 'ask @ada. Or @Grace...', ['ada', 'Grace']],
  ['a name before a dash', '@ada- well', ['ada']],
  ['a name in brackets and quotes', '(@ada) "@Grace"', ['ada', 'Grace']],
  ['names on several lines', '@ada\n\t@Grace', ['ada', 'Grace']],
  ['a name between words of another script', '你好 @ada，再见', ['ada']],
  ['a name after a star', '*@ada*', ['ada']],
  ['one name many times', '@ada @Ada @ADA', ['ada']],
  ['a possessive', "@ada's engine", ['ada']],
  ['a name followed by a full stop and a word', '@ada.Look', ['ada']],
  ['an address', 'ada@ada and me@ada.example', []],
  ['a word with an at sign in it', 'x@ada, é@ada, _@ada, .@ada', []],
  ['two at signs', '@@ada', []],
  ['a longer name', '@adamant @ada_lovelace', []],
  ['a name followed by a letter that no name has', '@adaé', []],
  ['an at sign alone', '@ ada @', []],
  ['a user who is not in the chat', '@linus', []],
  ['an unknown name', '@nobody', []],
  ['letters that become ASCII when they are folded', '@gra\u017fe @\u212Ada', []],
])('%s: %s mentions %j', async (_, content, names) => {
  expect(await mentionedBy(ada, chatId, content)).toEqual(names);
});

/** Returns the users' names in a text, and `everyone`. */
function readNames(text: string): string[] {
  const { names, everyone } = findNames(text);
  const users = names.flatMap((readings) => readings.find((name) => /^(ada|bob|o\.neil)$/.test(name)) ?? []);
  return [...users, ...(everyone ? ['everyone'] : [])].toSorted();
}

test.each([
  ['❤️@bob 1️⃣@ada', ['ada', 'bob']],
  ['👍🏽@bob👍🏽 👩‍💻@ada❤️', ['ada', 'bob']],
  ['か\u3099@bobか\u3099', ['bob']],
  ['ครับ@bobครับ, 한국어@ada입니다', ['ada', 'bob']],
  ['（＠ｂｏｂ）、【﹫ada】', ['ada', 'bob']],
  ['¿@bob? «@ada» —@o.neil…', ['ada', 'bob', 'o.neil']],
  ['@bob/@ada, @o.neil/@ada', ['ada', 'bob', 'o.neil']],
  ['\u2067@bob\u2069 \u200f@ada\u200b', ['ada', 'bob']],
  ['你好**@bob**你好 *_@ada_*', ['ada', 'bob']],
  ['__hey @bob and @ada__', ['ada', 'bob']],
  ['||@bob|| ~~@everyone~~', ['bob', 'everyone']],
  ['- @bob\n1. @ada', ['ada', 'bob']],
  ['@bobe\u0301, @bоb, @bob1', []],
  ['- ```\n  @bob\n  ```\n@ada', ['ada']],
  ['````\n```\n@bob\n````\n@ada', ['ada']],
  ['~~~ @bob\n@everyone\n~~~', []],
  ['`over two\nlines @bob`', []],
  ['\\`@bob\\` is in backticks', ['bob']],
  ['`@bob`@ada', ['ada']],
  ['@ada\n>> @bob\n  > @everyone', ['ada']],
  ['www.x.example/@bob x.example:8080/@bob x.example?u=@bob', []],
  ['HTTPS://X.EXAMPLE/@bob，@ada', ['ada']],
  ['is it x.example? @ada, @o.neil?', ['ada', 'o.neil']],
  ['[@ada](<https://x.example/@bob>) ![@bob](x/@ada.png)', ['ada', 'bob']],
  ['看https://x.example/@bob吧@ada', ['ada']],
])('%j mentions %j', (text, names) => {
  expect(readNames(text)).toEqual(names);
});

test('a name may have dots and dashes, and the longest one that belongs to a user is mentioned', async () => {
  const short = await signUp(server, 'jean');
  const long = await signUp(server, 'Jean-Luc.p');
  const group = await createGroup(ada, [short, long]);
  expect(await mentionedBy(ada, group, 'engage, @jean-luc.p.')).toEqual(['Jean-Luc.p']);
  expect(await mentionedBy(ada, group, 'engage, @jean-luc.')).toEqual(['jean']);
  expect(await mentionedBy(ada, group, '@jean and @jean-luc.p')).toEqual(['jean', 'Jean-Luc.p']);
});

test('a mention refers to the user, in the response and for every reader, also live', async () => {
  await using stream = await followEvents(server, grace, {
    document: `subscription { events { cursor event {
      __typename
      ... on NewMessage { message { mentions { isEveryone user { id username } } } }
    } } }`,
  });
  const mentions = [{ isEveryone: false, user: { id: grace.userId, username: 'Grace' } }];
  const document = `mutation ($chatId: ID!) {
    sendMessage(input: { chatId: $chatId, content: "@grace" }) {
      ... on Message { mentions { isEveryone user { id username } } }
    }
  }`;
  expect((await ada.ask(document, { chatId })).sendMessage).toEqual({ mentions });
  expect(eventOf(await stream.next('NewMessage')).message).toEqual({ mentions });
});

test('only users who were members at the time are mentioned', async () => {
  const group = await createGroup(ada, [grace]);
  const before = await say(ada, group, '@grace @linus');
  await addMembers(server, group, [linus]);
  const after = await say(ada, group, '@grace @linus');
  await removeMember(server, group, grace);
  expect(namesIn(await readMessage(ada, before))).toEqual(['Grace']);
  expect(namesIn(await readMessage(ada, after))).toEqual(['Grace', 'linus']);
  expect(await mentionedBy(ada, group, '@grace @linus')).toEqual(['linus']);
});

test('a reader of a public channel who is not a member is not mentioned there', async () => {
  const channel = await createPublicChannel(ada);
  expect(await mentionedBy(ada, channel, '@linus @grace')).toEqual([]);
  await addMembers(server, channel, [linus]);
  expect(await mentionedBy(ada, channel, '@linus @grace')).toEqual(['linus']);
});

test.each([
  ['GROUP', 'OWNER', true],
  ['GROUP', 'ADMIN', true],
  ['GROUP', 'MEMBER', false],
  ['PRIVATE_CHANNEL', 'OWNER', true],
  ['PRIVATE_CHANNEL', 'ADMIN', true],
  ['PRIVATE_CHANNEL', 'MEMBER', false],
  ['PUBLIC_CHANNEL', 'OWNER', true],
  ['PUBLIC_CHANNEL', 'ADMIN', true],
  ['PUBLIC_CHANNEL', 'MEMBER', false],
])('in a %s, @everyone from a user with the role %s mentions everyone: %s', async (type, role, isMention) => {
  const { id: chat } = await createChat(ada, { type, name: 'a chat', memberIds: [grace.userId, linus.userId] });
  await setRole(server, chat, linus, role);
  const named = isMention ? ['everyone', 'Grace'] : ['Grace'];
  expect(await mentionedBy(linus, chat, 'hello @Everyone, and @grace.')).toEqual(named);
  expect(await unreadOf(ada, chat)).toBe(isMention ? 1 : 0);
  expect(await unreadOf(grace, chat)).toBe(1);
  const id = await say(linus, chat, 'hello');
  expect(namesIn(await editMessage(linus, id, '@everyone hello'))).toEqual(isMention ? ['everyone'] : []);
});

test('in a single chat @everyone is plain text, and the other user can be mentioned by name', async () => {
  const { id: chat } = await createChat(ada, { type: 'SINGLE', memberIds: [grace.userId] });
  expect(await mentionedBy(ada, chat, '@everyone @grace @linus')).toEqual(['Grace']);
  expect(await mentionedBy(grace, chat, '@everyone @ada')).toEqual(['ada']);
});

test('@everyone alone mentions no individual user', async () => {
  const called = await signUp(server, 'everyone.else');
  const group = await createGroup(ada, [called, grace]);
  expect(await mentionedBy(grace, group, '@everyone')).toEqual([]);
  expect(await mentionedBy(ada, group, '@everyone')).toEqual(['everyone']);
  expect(await unreadOf(called, group)).toBe(1);
});

test('only the first fifty names in a message are mentions', async () => {
  const people = upTo(maxMentions + 2).map((number) => `p${number}`);
  await server.sql.query(
    `with added as (
      insert into users (username, email)
      select name, name || '@example.com' from unnest($2::text[]) name returning id
    ) insert into members (chat_id, user_id) select $1, id from added`,
    [keyOf(await createGroup(ada, [grace], 'crowd')), people],
  );
  const { rows } = await server.sql.query(`select id from chats where name = 'crowd'`);
  const crowd = Buffer.from(`Chat:${rows[0].id}`).toString('base64url');
  const all = people.map((name) => `@${name} @${name.toUpperCase()}`).join(' ');
  expect(await mentionedBy(ada, crowd, all)).toEqual(people.slice(0, maxMentions));
  const strangers = upTo(maxMentions)
    .map((number) => `@stranger${number}`)
    .join(' ');
  expect(await mentionedBy(ada, crowd, `${strangers} @p1`)).toEqual([]);
  expect(await mentionedBy(ada, crowd, '@a'.repeat(5_000))).toEqual([]);
  expect(await mentionedBy(ada, crowd, `@${'a.'.repeat(4_999)}`)).toEqual([]);
});

test('after an edit, a message mentions only the users that the new text names', async () => {
  const id = await say(ada, chatId, '@grace');
  expect(namesIn(await editMessage(ada, id, '@ada @everyone'))).toEqual(['everyone', 'ada']);
  expect(namesIn(await editMessage(ada, id, '@ada @grace'))).toEqual(['ada', 'Grace']);
  expect(namesIn(await editMessage(ada, id, 'nobody'))).toEqual([]);
});

test('a mention is unread until its message is read, deleted or edited', async () => {
  const group = await createGroup(ada, [grace, linus]);
  await say(ada, group, '@grace one');
  const everyone = await say(ada, group, '@everyone two');
  const both = await say(ada, group, '@everyone and @grace three');
  await say(ada, group, 'four');
  expect(await unreadOf(grace, group)).toBe(3);
  expect(await unreadOf(linus, group)).toBe(2);
  expect(await unreadOf(ada, group)).toBe(0);

  await deleteMessage(ada, everyone);
  expect(await unreadOf(grace, group)).toBe(2);
  expect(await unreadOf(linus, group)).toBe(1);
  await editMessage(ada, both, '@grace alone');
  expect(await unreadOf(grace, group)).toBe(2);
  expect(await unreadOf(linus, group)).toBe(0);
  await editMessage(ada, both, '@linus alone');
  expect(await unreadOf(grace, group)).toBe(1);
  expect(await unreadOf(linus, group)).toBe(1);
  await readTo(grace, group, 1);
  expect(await unreadOf(grace, group)).toBe(0);
  await readTo(grace, group, 0);
  expect(await unreadOf(grace, group)).toBe(1);
  await say(grace, group, 'I am here');
  expect(await unreadOf(grace, group)).toBe(0);
});

test('a user’s own messages are never unread mentions, whatever names they contain', async () => {
  const group = await createGroup(ada, [grace]);
  await say(ada, group, '@ada @everyone');
  await readTo(ada, group, 0);
  expect(await unreadOf(ada, group)).toBe(0);
  expect(await unreadOf(grace, group)).toBe(1);
});

test('a message that is hidden from a newcomer does not count as a mention of them', async () => {
  const group = await createGroup(ada, [grace]);
  await say(ada, group, '@everyone');
  await addMembers(server, group, [linus], 2);
  expect(await unreadOf(linus, group)).toBe(0);
  await say(ada, group, '@everyone @linus');
  expect(await unreadOf(linus, group)).toBe(1);
  expect(await unreadOf(grace, group)).toBe(2);
});

test('once a channel is public, mentions in messages from before a newcomer joined count for them too', async () => {
  const { id: channel } = await createChat(ada, { type: 'PRIVATE_CHANNEL', name: 'ajar', memberIds: [grace.userId] });
  await say(ada, channel, '@everyone');
  await addMembers(server, channel, [linus], 2);
  expect(await unreadOf(linus, channel)).toBe(0);
  await server.sql.query(`update chats set type = 'PUBLIC_CHANNEL' where id = $1`, [keyOf(channel)]);
  expect(await unreadOf(linus, channel)).toBe(1);
});

test('only the member sees how many of their mentions are unread', async () => {
  const group = await createGroup(ada, [grace]);
  await say(ada, group, '@grace');
  const document = `query ($id: ID!) {
    chat(id: $id) { members { edges { node { user { username } unreadMentionCount } } } }
  }`;
  const seenBy = async (by: Person) =>
    (await by.ask(document, { id: group })).chat.members.edges.map(({ node }: Data) => node.unreadMentionCount);
  expect(await seenBy(grace)).toEqual([null, 1]);
  expect(await seenBy(ada)).toEqual([0, null]);
});

test('unread mentions are counted up to a thousand', async () => {
  const group = await createGroup(ada, [grace]);
  await server.sql.query(
    `insert into messages (chat_id, sender_id, content, mentions_everyone)
    select $1, $2, 'message ' || n, n % 2 = 0 from generate_series(1, 2300) n`,
    [keyOf(group), keyOf(ada.userId)],
  );
  await server.sql.query(
    `insert into mentions (chat_id, seq, user_id) select chat_id, seq, $2 from messages where chat_id = $1 and seq % 2 = 1`,
    [keyOf(group), keyOf(grace.userId)],
  );
  expect(await unreadOf(grace, group)).toBe(1_000);
  await readTo(grace, group, 2_300 - 900);
  expect(await unreadOf(grace, group)).toBe(900);
});

test('concurrent messages, on two nodes, each mention the users that they name', async () => {
  const group = await createGroup(ada, [grace, linus]);
  const sent = await Promise.all(
    upTo(40).map((number) => {
      const sender = number % 2 === 0 ? ada : onNode(otherNode, ada);
      return sendMessage(sender, group, number % 4 < 2 ? `@grace ${number}` : `@linus ${number}`);
    }),
  );
  for (const { id, content } of sent) {
    const expected = content.startsWith('@grace') ? ['Grace'] : ['linus'];
    expect(namesIn(await readMessage(ada, id))).toEqual(expected);
  }
  expect(await unreadOf(grace, group)).toBe(20);
});

test('a message with names takes one more statement than a message without an at sign', async () => {
  const group = await createGroup(ada, [grace, linus]);
  const costOf = (content: string) => recordStatements(server, () => sendMessage(ada, group, content));
  const plain = await costOf('hello');
  expect(plain.filter((statement) => statement.includes('mentions (chat_id'))).toEqual([]);
  expect(await costOf('@everyone')).toEqual(plain);
  const naming = await costOf('@grace @linus @ada and @everyone');
  expect(naming.length).toBe(plain.length + 1);
  expect(naming.filter((statement) => statement.includes('insert into mentions'))).toHaveLength(1);
});

test('a page of messages with mentions costs the same for one and for fifty', async () => {
  const group = await createGroup(ada, [grace, linus]);
  await Promise.all(upTo(50).map((number) => say(ada, group, `@grace @linus @ada ${number}`)));
  const document = `query ($id: ID!, $last: Int!) {
    chat(id: $id) { messages(last: $last) { edges { node { mentions { isEveryone user { username } } } } } }
  }`;
  const { chat } = await ada.ask(document, { id: group, last: 50 });
  expect(chat.messages.edges.map(({ node }: Data) => node.mentions.length)).toEqual(upTo(50).map(() => 3));
  const cost = (last: number) => recordStatements(server, () => ada.ask(document, { id: group, last }));
  const one = await cost(1);
  expect(await cost(50)).toEqual(one);
});

test('unread mentions of fifty chats cost the same as those of one', async () => {
  const [few, many] = await Promise.all([signUp(server, 'few'), signUp(server, 'many')]);
  const make = async (person: Person) => say(ada, await createGroup(ada, [person]), `@${person.name}`);
  await make(few);
  await Promise.all(upTo(50).map(() => make(many)));
  const document = `{ viewer { chats(first: 50) { edges { node { viewerMembership { unreadMentionCount } } } } } }`;
  const { viewer } = await many.ask(document);
  expect(viewer.chats.edges.map(({ node }: Data) => node.viewerMembership.unreadMentionCount)).toEqual(
    upTo(50).map(() => 1),
  );
  const one = await recordStatements(server, () => few.ask(document));
  expect(await recordStatements(server, () => many.ask(document))).toEqual(one);
});

test('the database accepts only mentions of members of the chat, at most fifty per message', async () => {
  const group = await createGroup(ada, [grace]);
  const { seq } = await readMessage(ada, await say(ada, group, 'hello'));
  const insert = (userIds: (string | undefined)[]) =>
    server.sql.query(
      'insert into mentions (chat_id, seq, user_id) select $1, $2, user_id from unnest($3::bigint[]) user_id',
      [keyOf(group), seq, userIds],
    );
  expect(await insert([keyOf(grace.userId)])).toMatchObject({ rowCount: 1 });
  await expect(insert([keyOf(grace.userId)])).rejects.toMatchObject({ constraint: 'mentions_pkey' });
  await expect(insert([keyOf(linus.userId)])).rejects.toThrow('only mention members of its chat');
  const { rows } = await server.sql.query(
    `with added as (
      insert into users (username, email)
      select 'm' || n, 'm' || n || '@example.com' from generate_series(1, 50) n returning id
    ) insert into members (chat_id, user_id) select $1, id from added returning user_id::text as id`,
    [keyOf(group)],
  );
  await expect(insert(rows.map(({ id }) => id))).rejects.toThrow('at most 50 users');
  expect(await insert(rows.slice(0, 49).map(({ id }) => id))).toMatchObject({ rowCount: 49 });
});

test('a message that psql inserts mentions only the users whose mentions psql inserts', async () => {
  const group = await createGroup(ada, [grace]);
  await server.sql.query(`insert into messages (chat_id, sender_id, content) values ($1, $2, '@grace')`, [
    keyOf(group),
    keyOf(ada.userId),
  ]);
  expect(await unreadOf(grace, group)).toBe(0);
  await server.sql.query('insert into mentions (chat_id, seq, user_id) values ($1, 1, $2)', [
    keyOf(group),
    keyOf(grace.userId),
  ]);
  expect(await unreadOf(grace, group)).toBe(1);
});

test('mentions of a user are gone as soon as the user erases their account', async () => {
  const passing = await signUp(server, 'passing');
  const group = await createGroup(ada, [grace, passing]);
  const id = await say(ada, group, '@passing @grace');
  expect(namesIn(await readMessage(ada, id))).toEqual(['Grace', 'passing']);
  await server.sql.query('update users set deleted_at = now() where id = $1', [keyOf(passing.userId)]);
  expect(namesIn(await readMessage(ada, id))).toEqual(['Grace']);
  expect(await mentionedBy(ada, group, '@passing')).toEqual([]);
  await server.sql.query('delete from users where id = $1', [keyOf(passing.userId)]);
  expect(namesIn(await readMessage(ada, id))).toEqual(['Grace']);
});

/** Returns the users that a text mentions in a chat with these users. */
function mentionsIn(text: string, users = ['bob', 'ada', 'o.neil']): { mentions: string[]; everyone: boolean } {
  const { names, everyone } = findNames(text);
  const mentions = names.flatMap((readings) => readings.find((name) => users.includes(name)) ?? []);
  return { mentions: [...new Set(mentions)].toSorted(), everyone };
}

test.each(cases)('$group: $text', ({ text, mentions, everyone }) => {
  expect(mentionsIn(text)).toEqual({ mentions, everyone });
});

test.each([
  ['.@bob', []],
  ['_@bob', []],
  ['x.@bob', []],
  ['x_@bob', []],
  ['social.example/@bob', []],
  ['@ada/@bob', ['ada', 'bob']],
  ['\uff20ｂｏｂ', ['bob']],
  ['~~~\n@bob\n~~~\n@ada', ['ada']],
  ['```\n@bob', []],
  ['||@bob||', ['bob']],
  ['https://a.example/@ada，@bob', ['bob']],
  ['`@bob\n@ada`', []],
  ['`@bob\n\n@ada`', ['ada', 'bob']],
  ['@bob\u0301', []],
])('%j mentions %j', (text, mentions) => {
  expect(mentionsIn(text).mentions).toEqual(mentions);
});
