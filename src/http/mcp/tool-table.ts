/**
 * A tool: its stored document, whose variables are the arguments of the tool, and descriptions of the tool and of each
 * argument, which a language model reads.
 */
export type Tool = {
  name: string;
  title: string;
  description: string;
  arguments: Record<string, string>;
  document: string;
};

const message = `fragment message on Message {
  id seq content createdAt editedAt deletedAt
  sender { id username displayName }
  chat { id }
  replyTo { id }
  reactions { emoji count }
}`;

const error = '__typename ... on Error { code message }';

const page = {
  first: 'The maximum number of entries to return, from 1 to 100.',
  after: 'The endCursor of a page; the result is the page after it.',
};

/** The tools of `/mcp`, in the order in which the server lists them. */
export const tools: readonly Tool[] = [
  {
    name: 'list_chats',
    title: 'List chats',
    description: 'Lists the chats that you are a member of, starting with those that have the newest messages.',
    arguments: page,
    document: `query ListChats($first: Int = 50, $after: String) {
      viewer { chats(first: $first, after: $after) {
        edges { node { id type name description memberCount viewerMembership { unreadCount unreadMentionCount } } }
        pageInfo { hasNextPage endCursor }
      } }
    }`,
  },
  {
    name: 'read_messages',
    title: 'Read messages',
    description: 'Reads the newest messages of a chat, or the messages before a cursor, in chronological order.',
    arguments: {
      chatId: 'The id of the chat.',
      last: 'The maximum number of entries to return, from 1 to 100.',
      before: 'The startCursor of a page; the result is the page of messages before it.',
    },
    document: `query ReadMessages($chatId: ID!, $last: Int = 50, $before: String) {
      chat(id: $chatId) { id name messages(last: $last, before: $before) {
        edges { node { ...message } }
        pageInfo { hasPreviousPage startCursor }
      } }
    }
    ${message}`,
  },
  {
    name: 'search_messages',
    title: 'Search messages',
    description: 'Searches all messages that you can see for words; "quoted words" must follow one another.',
    arguments: { query: 'The words to search for.', ...page },
    document: `query SearchMessages($query: String!, $first: Int = 20, $after: String) {
      searchMessages(query: $query, first: $first, after: $after) {
        edges { node { ...message } }
        pageInfo { hasNextPage endCursor }
      }
    }
    ${message}`,
  },
  {
    name: 'list_members',
    title: 'List members',
    description: 'Lists the members of a chat with their roles.',
    arguments: { chatId: 'The id of the chat.', ...page },
    document: `query ListMembers($chatId: ID!, $first: Int = 50, $after: String) {
      chat(id: $chatId) { id members(first: $first, after: $after) {
        edges { node { role user { id username displayName } } }
        pageInfo { hasNextPage endCursor }
      } }
    }`,
  },
  {
    name: 'find_users',
    title: 'Find users',
    description:
      'Finds users by username and display name. Each search word must be the beginning of a word in one of these names.',
    arguments: { search: 'The beginnings of words that occur in the names.', ...page },
    document: `query FindUsers($search: String!, $first: Int = 20, $after: String) {
      users(search: $search, first: $first, after: $after) {
        edges { node { id username displayName } }
        pageInfo { hasNextPage endCursor }
      }
    }`,
  },
  {
    name: 'send_message',
    title: 'Send a message',
    description: 'Sends a message to a chat that you are a member of.',
    arguments: {
      chatId: 'The id of the chat.',
      content: 'The text, as Markdown. @username mentions a member.',
      replyToId: 'The id of the message to reply to.',
      clientMessageId:
        'Your own id for the message. If you send the message again with the same id, no second message is created.',
    },
    document: `mutation SendMessage($chatId: ID!, $content: String!, $replyToId: ID, $clientMessageId: String) {
      sendMessage(input: {
        chatId: $chatId, content: $content, replyToId: $replyToId, clientMessageId: $clientMessageId
      }) { ${error} ...message }
    }
    ${message}`,
  },
  {
    name: 'add_reaction',
    title: 'React to a message',
    description: 'Adds a reaction to a message.',
    arguments: { messageId: 'The id of the message.', emoji: 'One emoji.' },
    document: `mutation AddReaction($messageId: ID!, $emoji: String!) {
      addReaction(messageId: $messageId, emoji: $emoji) { ${error} ...message }
    }
    ${message}`,
  },
  {
    name: 'remove_reaction',
    title: 'Remove a reaction',
    description: 'Removes your own reaction from a message.',
    arguments: { messageId: 'The id of the message.', emoji: 'The emoji of the reaction.' },
    document: `mutation RemoveReaction($messageId: ID!, $emoji: String!) {
      removeReaction(messageId: $messageId, emoji: $emoji) { ${error} ...message }
    }
    ${message}`,
  },
];
