import fc from 'fast-check';
import { beforeAll, expect, test } from 'vitest';
import { addMembers, createGroup, createPublicChannel, keyOf } from '../support/chat.ts';
import { type Data, type Person, type Variables, signUpAll } from '../support/client.ts';
import { deleteMessage } from '../support/message.ts';
import type { TestServer } from '../support/server.ts';
import { sharedServer } from '../support/shared-server.ts';

let server: TestServer;
let ada: Person;
let grace: Person;
let linus: Person;
beforeAll(async () => {
  server = await sharedServer();
  [ada, grace, linus] = await signUpAll(server, 'ada', 'grace', 'linus');
});

const page = `edges { cursor node { id seq content } } pageInfo { hasNextPage hasPreviousPage startCursor endCursor }`;

async function around(by: Person, chat: string, variables: Variables): Promise<Data> {
  const document = `query ($id: ID!, $seq: Int!, $countBefore: Int, $countAfter: Int) {
    chat(id: $id) { messagesAround(seq: $seq, countBefore: $countBefore, countAfter: $countAfter) { ${page} } }
  }`;
  return (await by.ask(document, { id: chat, ...variables })).chat.messagesAround;
}

const placesOf = ({ edges }: Data): number[] => edges.map(({ node }: Data) => node.seq);
const upTo = (last: number, from = 1) => Array.from({ length: last - from + 1 }, (_, index) => from + index);

async function fill(chat: string, length: number): Promise<string> {
  await server.sql.query(
    `insert into messages (chat_id, sender_id, content) select $1, $2, 'message ' || n from generate_series(1, $3) n`,
    [keyOf(chat), keyOf(ada.userId), length],
  );
  return chat;
}

test('the messages around any seq, with any number before and after it, are those that a reading of the whole chat shows', async () => {
  const length = 30;
  const chat = await fill(await createGroup(ada, [grace]), length);
  await addMembers(server, chat, [linus], 12);
  const side = fc.integer({ min: 0, max: 12 });
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom({ person: grace, first: 1 }, { person: linus, first: 12 }),
      fc.integer({ min: 0, max: length + 3 }),
      side,
      side,
      async ({ person, first }, seq, countBefore, countAfter) => {
        const seen = upTo(length, first);
        const older = seen.filter((place) => place < seq);
        const newer = seen.filter((place) => place >= seq);
        const shown = await around(person, chat, { seq, countBefore, countAfter });
        const shownOlder = countBefore === 0 ? [] : older.slice(-countBefore);
        expect(placesOf(shown)).toEqual([...shownOlder, ...newer.slice(0, countAfter + 1)]);
        expect(shown.pageInfo).toMatchObject({
          hasPreviousPage: older.length > countBefore,
          hasNextPage: newer.length > countAfter + 1,
        });
      },
    ),
    { numRuns: 60 },
  );
});

test('paging continues in both directions from the messages around a seq, with none missing or repeated', async () => {
  const chat = await fill(await createGroup(ada, [grace]), 40);
  const { pageInfo, edges } = await around(grace, chat, { seq: 20, countBefore: 3, countAfter: 3 });
  const read = async (range: Variables) => {
    const document = `query ($id: ID!, $first: Int, $after: String, $last: Int, $before: String) {
      chat(id: $id) { messages(first: $first, after: $after, last: $last, before: $before) { ${page} } }
    }`;
    return placesOf((await grace.ask(document, { id: chat, ...range })).chat.messages);
  };
  const older = await read({ last: 100, before: pageInfo.startCursor });
  const newer = await read({ first: 100, after: pageInfo.endCursor });
  expect([...older, ...placesOf({ edges }), ...newer]).toEqual(upTo(40));
});

test('the seq of a deleted message is still a valid place to jump to', async () => {
  const chat = await fill(await createGroup(ada, [grace]), 5);
  const { edges } = await around(ada, chat, { seq: 3, countBefore: 0, countAfter: 0 });
  await deleteMessage(ada, edges[0].node.id);
  const shown = await around(grace, chat, { seq: 3, countBefore: 1, countAfter: 1 });
  expect(shown.edges.map(({ node }: Data) => node.content)).toEqual(['message 2', null, 'message 4']);
});

test('a reader of a public channel can jump to any of its seqs; an empty chat has none to jump to', async () => {
  const channel = await fill(await createPublicChannel(ada), 5);
  expect(placesOf(await around(linus, channel, { seq: 3, countBefore: 1, countAfter: 1 }))).toEqual([2, 3, 4]);
  const empty = await around(ada, await createGroup(ada, [grace]), { seq: 1 });
  expect(empty).toEqual({
    edges: [],
    pageInfo: { hasNextPage: false, hasPreviousPage: false, startCursor: null, endCursor: null },
  });
});
