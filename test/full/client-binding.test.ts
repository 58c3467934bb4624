import { ApolloClient, gql, InMemoryCache } from '@apollo/client';
import { cacheExchange, Client as UrqlClient, fetchExchange } from '@urql/core';
import { beforeAll, expect, onTestFinished, test } from 'vitest';
import { generateKeySet, parseKeySet } from '../../src/account/token-key.ts';
import { addMessage, parleyLink, possibleTypes, typePolicies } from '../../src/client/apollo.ts';
import { createClient, type Client } from '../../src/client/client.ts';
import { parleyExchange } from '../../src/client/urql.ts';
import { createGroup, insertMessage, say } from '../support/chat.ts';
import { signUpAll, type Data, type Person } from '../support/client.ts';
import { createDatabase, type TestDatabase } from '../support/database.ts';
import { startServer, type TestServer, type TestServerOptions } from '../support/server.ts';
import { shortenToken, storageIn } from '../support/stored-session.ts';

const keys = generateKeySet();
const { signing } = parseKeySet(keys);
let database: TestDatabase;
let server: TestServer;
let ada: Person;
let grace: Person;

function start(options: TestServerOptions = {}): Promise<TestServer> {
  const overrides = { streamTimes: { sweep: 20, tokenCheck: 50 } };
  return startServer({ database, overrides, ...options, env: { JWT_KEYS: keys, ...options.env } });
}

beforeAll(async () => {
  database = await createDatabase();
  server = await start();
  [ada, grace] = await signUpAll(server, 'ada', 'grace');
  return () => database.drop();
});

/** An app that uses the cache of another GraphQL client (Apollo Client or urql). */
type App = {
  /** Shows a query until the end of the test. Returns a function that returns the result that is currently shown. */
  show: (document: string) => () => Data;
  /** Runs a query as an app does when it opens a screen. */
  query: (document: string) => Promise<Data>;
  mutate: (document: string, variables: Record<string, unknown>) => Promise<Data>;
  listen: (document: string, onData: (data: Data) => void, onError: (error: unknown) => void) => void;
};

function withUrql(parley: Client): App {
  const client = new UrqlClient({
    url: server.url,
    preferGetMethod: false,
    exchanges: [parleyExchange(parley), cacheExchange, fetchExchange],
  });
  return {
    show: (document) => {
      let shown: Data;
      const watched = client.query(document, {}).subscribe(({ data }) => (shown = data ?? shown));
      onTestFinished(() => watched.unsubscribe());
      return () => shown;
    },
    query: async (document) => (await client.query(document, {}).toPromise()).data,
    mutate: async (document, variables) => (await client.mutation(document, variables).toPromise()).data,
    listen: (document, onData, onError) => {
      const events = client
        .subscription(document, {})
        .subscribe(({ data, error }) => (error === undefined ? onData(data) : onError(error)));
      onTestFinished(() => events.unsubscribe());
    },
  };
}

function openApollo(parley: Client): ApolloClient {
  const client = new ApolloClient({
    link: parleyLink(parley),
    cache: new InMemoryCache({ possibleTypes, typePolicies }),
  });
  onTestFinished(() => client.stop());
  return client;
}

function withApollo(parley: Client): App {
  const client = openApollo(parley);
  return {
    show: (document) => {
      let shown: Data;
      const watched = client
        .watchQuery({ query: gql(document) })
        .subscribe(({ data, dataState }) => (shown = dataState === 'complete' ? data : shown));
      onTestFinished(() => watched.unsubscribe());
      return () => shown;
    },
    query: async (document) => (await client.query({ query: gql(document) })).data,
    mutate: async (document, variables) => (await client.mutate({ mutation: gql(document), variables })).data,
    listen: (document, onData, onError) => {
      const events = client
        .subscribe({ query: gql(document) })
        .subscribe(({ data, error }) => (error === undefined ? onData(data) : onError(error)));
      onTestFinished(() => events.unsubscribe());
    },
  };
}

/** Opens a client whose access token expires after `seconds`. */
async function openParley(seconds: number): Promise<{ parley: Client; refreshes: () => number }> {
  const stored = new Map<string, string>();
  const persistence = storageIn(stored);
  await createClient({ url: server.url, persistence }).signIn(ada);
  await shortenToken(stored, signing, seconds);
  let count = 0;
  const parley = createClient({
    url: server.url,
    persistence,
    fetch: async (input, init) => {
      if (typeof init?.body === 'string' && init.body.includes('refreshSession')) count += 1;
      return fetch(input, init);
    },
  });
  return { parley, refreshes: () => count };
}

const eventsDocument = `subscription Events {
  events { cursor event { ... on NewMessage { message { id content } } ... on Reset { reason } } }
}`;
const chatsDocument = '{ viewer { chats(first: 5) { edges { node { id lastMessage { id content } } } } } }';
const peopleDocument = '{ viewer { user { id displayName } } }';
const sendDocument = `mutation Send($input: SendMessageInput!) {
  sendMessage(input: $input) { ... on Message { id content } ... on Error { message } }
}`;

test('urql and Apollo Client resume after a restart or the expiry of a token, and fetch again after a Reset', async () => {
  const chatId = await createGroup(ada, [grace]);
  const apps = await Promise.all(
    [withUrql, withApollo].map(async (open) => {
      const { parley, refreshes } = await openParley(2);
      const app = open(parley);
      const events: Data[] = [];
      const errors: unknown[] = [];
      app.listen(
        eventsDocument,
        ({ events: { event } }) => void events.push(event),
        (error) => void errors.push(error),
      );
      const contents = () => events.flatMap(({ message }) => message?.content ?? []);
      const kinds = () => events.map(({ __typename }) => __typename);
      return { app, contents, kinds, errors, refreshes, chats: app.show(chatsDocument) };
    }),
  );
  const arrives = async (...contents: string[]) => {
    for (const app of apps) await expect.poll(app.contents, { timeout: 15_000 }).toEqual(contents);
  };
  for (const { kinds, chats, app } of apps) {
    await expect.poll(kinds).toContain('CaughtUp');
    await expect.poll(() => chats()?.viewer.chats.edges).toHaveLength(1);
    expect((await app.query(peopleDocument)).viewer.user.displayName).toBeNull();
  }
  await say(grace, chatId, 'one');
  await arrives('one');
  for (const { refreshes } of apps) await expect.poll(refreshes).toBe(1);
  await say(grace, chatId, 'two');
  await arrives('one', 'two');
  for (const { app } of apps) {
    const { sendMessage } = await app.mutate(sendDocument, {
      input: { chatId, content: 'from the app', replyToId: chatId },
    });
    // Apollo Client finds this only with `possibleTypes`.
    expect(sendMessage.message).toEqual(expect.any(String));
  }

  const env = { PORT: new URL(server.url).port };
  await server.close();
  await insertMessage(server, chatId, grace, 'three');
  server = await start({ env });
  await arrives('one', 'two', 'three');

  await server.close();
  for (const text of ['missed', 'missed too', 'newest']) await insertMessage(server, chatId, grace, text);
  await database.sql.query(`update users set display_name = 'Ada' where username = 'ada'`);
  server = await start({ env: { ...env, MAX_REPLAY_EVENTS: '2' } });
  for (const { app, kinds, chats, errors } of apps) {
    await expect.poll(kinds, { timeout: 15_000 }).toContain('Reset');
    await expect.poll(() => chats().viewer.chats.edges[0].node.lastMessage.content).toBe('newest');
    // This query is not on the screen, so the app must not show its earlier result again.
    expect((await app.query(peopleDocument)).viewer.user.displayName).toBe('Ada');
    expect(errors).toEqual([]);
  }
  await say(grace, chatId, 'four');
  await arrives('one', 'two', 'three', 'four');
});

test('Apollo Client keeps the loaded part of a chat as one stretch, to which events are added', async () => {
  const chatId = await createGroup(ada, [grace]);
  for (const text of ['one', 'two', 'three', 'four']) await say(grace, chatId, text);
  const { parley } = await openParley(60);
  const client = openApollo(parley);
  const page = gql`
    query Page($id: ID!, $last: Int!, $before: String) {
      chat(id: $id) {
        id
        messages(last: $last, before: $before) {
          edges {
            cursor
            node {
              id
              seq
            }
          }
          pageInfo {
            startCursor
            hasPreviousPage
          }
        }
      }
    }
  `;
  const load = async (last: number, before?: string): Promise<Data> => {
    const variables = { id: chatId, last, before };
    return (await client.query({ query: page, variables, fetchPolicy: 'network-only' })).data;
  };
  const known = () => {
    const { chat } = client.readQuery<Data>({ query: page, variables: { id: chatId, last: 1 } });
    return chat.messages.edges.map(({ node }: Data) => node.seq);
  };
  const { chat } = await load(2);
  // Loading the single message that a list of chats shows does not replace the loaded page.
  await load(1);
  expect(known()).toEqual([3, 4]);
  await load(2, chat.messages.pageInfo.startCursor);
  expect(known()).toEqual([1, 2, 3, 4]);

  /** Receives the event of a message as a subscription does, which adds the message to the cache. */
  const receive = async (seq: number) => {
    const around = gql`
      query Around($id: ID!, $seq: Int!) {
        chat(id: $id) {
          id
          messagesAround(seq: $seq) {
            edges {
              cursor
              node {
                id
                seq
              }
            }
          }
        }
      }
    `;
    const answer = await client.query({ query: around, variables: { id: chatId, seq } });
    const data: Data = answer.data;
    const edge = data.chat.messagesAround.edges.find(({ node }: Data) => node.seq === seq);
    addMessage(client.cache, { message: { chat: { id: chatId } }, edge });
  };
  await say(grace, chatId, 'five');
  await receive(5);
  expect(known()).toEqual([1, 2, 3, 4, 5]);
  for (const text of ['six', 'seven']) await say(grace, chatId, text);
  // If "seven" were shown without "six", the list would have a gap.
  await receive(7);
  expect(known()).toEqual([1, 2, 3, 4, 5]);
  await load(3);
  expect(known()).toEqual([1, 2, 3, 4, 5, 6, 7]);
});
