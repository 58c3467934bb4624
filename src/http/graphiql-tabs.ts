import type { GraphiQLOptions } from 'graphql-yoga';

const passwords = { ada: 'wrote the first program', grace: 'found the first real bug' };

type Name = keyof typeof passwords;

const signUp = (name: Name, comment: string) => ({
  query: `${comment}
mutation SignUp_${name} {
  signUp(
    input: {
      username: "${name}"
      email: "${name}@example.com"
      password: "${passwords[name]}"
    }
  ) {
    __typename
    ... on SignedIn {
      accessToken
      viewer { user { id username } }
    }
    ... on Error { message }
  }
}
`,
});

const signIn = (name: Name) => `
  ${name}: signIn(
    input: {
      email: "${name}@example.com"
      password: "${passwords[name]}"
    }
  ) {
    __typename
    ... on SignedIn {
      accessToken
      viewer { user { id username } }
    }
    ... on Error { message }
  }`;

const as = (name: Name) => JSON.stringify({ authorization: `Bearer <access token of ${name}>` }, null, 2);

/**
 * The tabs that a newcomer finds in GraphiQL: a conversation of two people, one step per tab. `fillPlaceholders`
 * replaces the text in angle brackets with values from earlier answers.
 */
export const firstConversation: GraphiQLOptions = {
  title: 'parley',
  subscriptionsProtocol: 'GRAPHQL_SSE',
  method: 'POST',
  shouldPersistHeaders: true,
  defaultEditorToolsVisibility: 'headers',
  defaultTabs: [
    signUp(
      'ada',
      `# A first conversation: run the tabs from left to
# right. Later tabs fill their <angle brackets> with
# the tokens and ids from earlier answers.
# 1. Ada signs up.`,
    ),
    signUp('grace', '# 2. Grace signs up.'),
    {
      query: `# 3. Ada starts a chat with Grace. The headers
# below identify the user.
mutation CreateChat($memberIds: [ID!]!) {
  createChat(
    input: {
      type: GROUP
      name: "Compilers"
      memberIds: $memberIds
    }
  ) {
    __typename
    ... on Chat {
      id
      name
    }
    ... on Error { message }
  }
}
`,
      headers: as('ada'),
      variables: JSON.stringify({ memberIds: ['<user id of grace>'] }, null, 2),
    },
    {
      query: `# 4. Grace subscribes. This stream stays open: continue
# in a second window, and watch the events here.
subscription Listen {
  events {
    cursor
    at
    event {
      __typename
      ... on NewChat { chat { id name } }
      ... on NewMessage {
        message {
          seq
          sender { username }
          content
        }
      }
    }
  }
}
`,
      headers: as('grace'),
    },
    {
      query: `# 5. Ada writes. Grace sees it immediately.
mutation Send($chatId: ID!) {
  sendMessage(
    input: {
      chatId: $chatId
      content: "Hello, Grace!"
    }
  ) {
    __typename
    ... on Message {
      seq
      createdAt
    }
    ... on Error { message }
  }
}
`,
      headers: as('ada'),
      variables: JSON.stringify({ chatId: '<id of the chat>' }, null, 2),
    },
    {
      query: `# 6. Messages are stored: this reads the newest page
# of each of Grace's chats. A client that returns
# later subscribes to events(after: eventCursor) and
# misses nothing.
query Read {
  viewer {
    eventCursor
    chats(first: 10) {
      edges {
        node {
          id
          name
          messages(last: 20) {
            edges {
              node {
                seq
                sender { username }
                content
              }
            }
          }
        }
      }
    }
  }
}
`,
      headers: as('grace'),
    },
    {
      query: `# An access token is valid for 15 minutes. This
# signs both users in again.
mutation SignIn {${signIn('ada')}${signIn('grace')}
}
`,
    },
  ],
};
