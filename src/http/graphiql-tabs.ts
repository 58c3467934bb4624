import type { GraphiQLOptions } from 'graphql-yoga';

const passwords = { ada: 'wrote the first program', grace: 'found the first real bug' };

type Name = keyof typeof passwords;

/** Signs the user up and in. The sign-in also works if the user has signed up before. */
const enter = (name: Name) => `
  ${name}SignsUp: signUp(
    input: {
      username: "${name}"
      email: "${name}@example.com"
      password: "${passwords[name]}"
    }
  ) { __typename ...Token ... on Error { message } }
  ${name}SignsIn: signIn(
    input: {
      email: "${name}@example.com"
      password: "${passwords[name]}"
    }
  ) { __typename ...Token ... on Error { message } }`;

const as = (name: Name) => JSON.stringify({ authorization: `Bearer <access token of ${name}>` }, null, 2);

/**
 * The tabs that a new user finds in GraphiQL: a conversation between two people, with one step per tab.
 * `fillPlaceholders` replaces the text in angle brackets with values from earlier answers.
 */
export const firstConversation: GraphiQLOptions = {
  title: 'parley',
  subscriptionsProtocol: 'GRAPHQL_SSE',
  method: 'POST',
  shouldPersistHeaders: true,
  defaultEditorToolsVisibility: 'headers',
  defaultTabs: [
    {
      query: `# A first conversation: run the tabs from left to
# right. Later tabs fill their <angle brackets> with
# the tokens and ids from earlier answers.
# 1. Ada and Grace sign up, and sign in. If they have
# signed up before, signUp answers Conflict: that is
# fine. An access token is valid for 15 minutes: when a
# later tab answers UNAUTHENTICATED, run this one again.
mutation Enter {${enter('ada')}${enter('grace')}
}

fragment Token on SignedIn {
  accessToken
  viewer { user { id username } }
}
`,
    },
    {
      query: `# 2. Ada starts a chat with Grace. The headers
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
      query: `# 3. Grace subscribes. A moment later, this page sends
# her a message as Ada: watch it arrive. The stream
# stays open. To write more, run the next tab in a
# second window.
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
      query: `# 4. Ada writes. Grace sees it immediately, if tab 3
# runs in another window.
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
      query: `# 5. Messages are stored: this reads the newest page
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
  ],
};
