import { ApolloClient, ApolloLink, gql as apolloGql, HttpLink, InMemoryCache, Observable } from '@apollo/client';
import { OperationTypeNode, print } from 'graphql';
import { createClient as createSseClient, type Client as SseClient } from 'graphql-sse';
import { Client as UrqlClient, fetchExchange, subscriptionExchange, type SubscriptionForwarder } from 'urql';
import { beforeAll, expect, onTestFinished, test } from 'vitest';
import { createGroup, say } from '../../support/chat.ts';
import { signUp, type Data, type Person, type Variables } from '../../support/client.ts';
import { openProxy } from '../../support/proxy.ts';
import type { TestServer } from '../../support/server.ts';
import { sharedServer } from '../../support/shared-server.ts';

let server: TestServer;
let ada: Person;
let grace: Person;
beforeAll(async () => {
  server = await sharedServer();
  [ada, grace] = await Promise.all([signUp(server, 'ada'), signUp(server, 'grace')]);
});

/**
 * The operations that a front end can perform with every client. `query` and `mutate` throw errors, while `subscribe`
 * calls `onError`.
 */
type FrontEnd = {
  query: (document: string, variables?: Variables) => Promise<Data>;
  mutate: (document: string, variables?: Variables) => Promise<Data>;
  subscribe: (document: string, onData: (data: Data) => void, onError: (error: unknown) => void) => () => void;
};

/** A session. Its token is null until the user has signed in. */
type Session = { token: string | null };
const headersOf = ({ token }: Session): Record<string, string> =>
  token === null ? {} : { authorization: `Bearer ${token}` };

function openSse(url: string, session: Session): SseClient {
  const client = createSseClient({ url: `${url}/graphql`, headers: () => headersOf(session) });
  onTestFinished(() => client.dispose());
  return client;
}

/** Returns the single result of an operation that is not a subscription. */
async function runOnce(client: SseClient, query: string, variables: Variables): Promise<Data> {
  const results: Data[] = [];
  for await (const result of client.iterate({ query, variables })) results.push(result);
  expect(results).toEqual([{ data: expect.anything() }]);
  return results[0].data;
}

function withGraphqlSse(url: string, session: Session): FrontEnd {
  const client = openSse(url, session);
  const run = (document: string, variables: Variables = {}) => runOnce(client, document, variables);
  const subscribe: FrontEnd['subscribe'] = (query, onData, onError) =>
    client.subscribe(
      { query },
      {
        next: ({ data, errors }) => (errors === undefined ? onData(data) : onError(errors)),
        error: onError,
        complete: () => {},
      },
    );
  return { query: run, mutate: run, subscribe };
}

function fromUrql(client: UrqlClient): FrontEnd {
  const settle = ({ data, error }: { data?: Data; error?: Error | undefined }) => {
    if (error !== undefined) throw error;
    return data;
  };
  return {
    query: async (document, variables = {}) => settle(await client.query(document, variables).toPromise()),
    mutate: async (document, variables = {}) => settle(await client.mutation(document, variables).toPromise()),
    subscribe: (document, onData, onError) => {
      const results = client.subscription(document, {});
      const subscription = results.subscribe(({ data, error }) =>
        error === undefined ? onData(data) : onError(error),
      );
      return () => subscription.unsubscribe();
    },
  };
}

function withUrql(url: string, session: Session): FrontEnd {
  const fetchOptions = () => ({ headers: headersOf(session) });
  return fromUrql(
    new UrqlClient({ url: `${url}/graphql`, fetchOptions, fetchSubscriptions: true, exchanges: [fetchExchange] }),
  );
}

function withUrqlOverGraphqlSse(url: string, session: Session): FrontEnd {
  const sse = openSse(url, session);
  const forwardSubscription: SubscriptionForwarder = ({ query = '', variables }) => ({
    subscribe: (sink) => ({
      unsubscribe: sse.subscribe(
        { query, variables: { ...variables } },
        {
          next: (result) => sink.next(result as Data),
          error: (error) => sink.error(error),
          complete: () => sink.complete(),
        },
      ),
    }),
  });
  const fetchOptions = () => ({ headers: headersOf(session) });
  const exchanges = [fetchExchange, subscriptionExchange({ forwardSubscription })];
  return fromUrql(new UrqlClient({ url: `${url}/graphql`, fetchOptions, exchanges }));
}

function fromApollo(link: ApolloLink): FrontEnd {
  const client = new ApolloClient({
    link,
    cache: new InMemoryCache({ possibleTypes: { Event: ['CaughtUp', 'NewMessage'] } }),
  });
  onTestFinished(() => client.stop());
  return {
    query: async (document, variables = {}) => (await client.query({ query: apolloGql(document), variables })).data,
    mutate: async (document, variables = {}) =>
      (await client.mutate({ mutation: apolloGql(document), variables })).data,
    subscribe: (document, onData, onError) => {
      const subscription = client.subscribe({ query: apolloGql(document) }).subscribe({
        next: ({ data, error }) => (error === undefined ? onData(data) : onError(error)),
        error: onError,
      });
      return () => subscription.unsubscribe();
    },
  };
}

function httpLinkOf(url: string, session: Session): ApolloLink {
  const fetchAsViewer: typeof fetch = (input, init) =>
    fetch(input, { ...init, headers: { ...(init?.headers as Record<string, string>), ...headersOf(session) } });
  return new HttpLink({ uri: `${url}/graphql`, fetch: fetchAsViewer });
}

/** Returns Apollo Client with a graphql-sse link for subscriptions, as in graphql-sse's recipes. */
function withApolloOverGraphqlSse(url: string, session: Session): FrontEnd {
  const sse = openSse(url, session);
  const sseLink = new ApolloLink(
    ({ query, variables }) =>
      new Observable((observer) =>
        sse.subscribe(
          { query: print(query), variables },
          {
            next: (result) => observer.next(result as ApolloLink.Result),
            error: (error) => observer.error(error),
            complete: () => observer.complete(),
          },
        ),
      ),
  );
  const isSubscription = ({ operationType }: ApolloLink.Operation) => operationType === OperationTypeNode.SUBSCRIPTION;
  return fromApollo(ApolloLink.split(isSubscription, sseLink, httpLinkOf(url, session)));
}

/** Returns Apollo Client with its defaults. Its HttpLink requests the same stream in another format. */
function withApolloAlone(url: string, session: Session): FrontEnd {
  return fromApollo(httpLinkOf(url, session));
}

const signInMutation = `mutation SignIn($input: SignInInput!) {
  signIn(input: $input) { ... on SignedIn { accessToken } }
}`;
const sendMutation = `mutation Send($input: SendMessageInput!) {
  sendMessage(input: $input) { ... on Message { id seq content } }
}`;
const eventsSubscription = `subscription Events {
  events { cursor event { __typename ... on NewMessage { message { id seq content sender { id username } } } } }
}`;

/** Subscribes to events, and lets the test wait for each of them. */
function listen(frontEnd: FrontEnd) {
  const events: Data[] = [];
  const errors: unknown[] = [];
  const stop = frontEnd.subscribe(
    eventsSubscription,
    (data) => void events.push(data.events.event),
    (error) => void errors.push(error),
  );
  onTestFinished(stop);
  const has = async (fields: object) => {
    const told = () => [...errors, ...events];
    await expect.poll(told, { timeout: 10_000 }).toContainEqual(expect.objectContaining(fields));
  };
  return { events, errors, has, stop };
}

test.each([
  ['graphql-sse’s own client', withGraphqlSse],
  ['urql with fetchSubscriptions', withUrql],
  ['urql with an exchange over graphql-sse', withUrqlOverGraphqlSse],
  ['Apollo Client with a link over graphql-sse', withApolloOverGraphqlSse],
  ['Apollo Client with its defaults', withApolloAlone],
])('a user signs in, queries, subscribes and sends with %s', async (_, open) => {
  const chat = await createGroup(ada, [grace]);
  const session: Session = { token: null };
  const frontEnd = open(server.url, session);

  const { signIn } = await frontEnd.mutate(signInMutation, { input: { email: grace.email, password: grace.password } });
  session.token = signIn.accessToken;
  const { viewer } = await frontEnd.query('query Me { viewer { id user { id username } } }');
  expect(viewer.user.username).toBe('grace');

  const heard = listen(frontEnd);
  await heard.has({ __typename: 'CaughtUp' });
  await say(ada, chat, 'hello grace');
  await heard.has({ message: expect.objectContaining({ content: 'hello grace', seq: 1 }) });

  const { sendMessage } = await frontEnd.mutate(sendMutation, { input: { chatId: chat, content: 'hello ada' } });
  expect(sendMessage).toMatchObject({ content: 'hello ada', seq: 2 });
  await heard.has({ message: expect.objectContaining({ content: 'hello ada', seq: 2 }) });
  expect(heard.errors).toEqual([]);
  expect(heard.events.map(({ message }) => message?.seq)).toEqual([undefined, 1, 2]);
});

test.each([
  ['graphql-sse’s own client', withGraphqlSse],
  ['urql with fetchSubscriptions', withUrql],
  ['Apollo Client with its defaults', withApolloAlone],
])('a user who has not signed in gets the error UNAUTHENTICATED from %s', async (_, open) => {
  const heard = listen(open(server.url, { token: null }));
  await expect.poll(() => heard.errors.length, { timeout: 10_000 }).toBeGreaterThan(0);
  expect(JSON.stringify(heard.errors)).toContain('UNAUTHENTICATED');
  expect(heard.events).toEqual([]);
});

test('graphql-sse’s client reconnects automatically when its connection breaks', async () => {
  const chat = await createGroup(ada, [grace]);
  const proxy = await openProxy(server.url);
  const client = openSse(proxy.through(server.url), { token: grace.token });
  const events: Data[] = [];
  const failed: unknown[] = [];
  client.subscribe(
    { query: eventsSubscription },
    {
      next: ({ data }: Data) => void events.push(data.events.event),
      error: (error) => void failed.push(error),
      complete: () => void failed.push('complete'),
    },
  );
  const arrivals = () => events.filter(({ __typename }) => __typename === 'CaughtUp').length;
  await expect.poll(arrivals, { timeout: 10_000 }).toBe(1);
  proxy.cut();
  await expect.poll(arrivals, { timeout: 10_000 }).toBe(2);
  await say(ada, chat, 'are you back');
  await expect.poll(() => events.at(-1)?.message?.content, { timeout: 10_000 }).toBe('are you back');
  expect(failed).toEqual([]);
});
