import { pageFromEnd, pageOf } from './page.ts';
import type { Route } from './route.ts';

const message = '... on Message { ...Message } ...Problem';

/**
 * The maximum page size. A larger page would be refused, because each message may have files, reactions and mentions,
 * so the operation would be too large.
 */
const maxLimit = 50;

/** The routes for messages and everything that belongs to them. */
export const messageRoutes: readonly Route[] = [
  {
    method: 'POST',
    path: '/api/chats/{chatId}/messages',
    id: 'sendMessage',
    tag: 'Messages',
    summary: 'Send a message',
    document: `mutation (
      $chatId: ID!, $content: String! = "", $fileIds: [ID!], $replyToId: ID, $clientMessageId: String, $custom: JSON
    ) {
      sendMessage(input: {
        chatId: $chatId, content: $content, fileIds: $fileIds, replyToId: $replyToId
        clientMessageId: $clientMessageId, custom: $custom
      }) { ${message} }
    }`,
    result: 'sendMessage',
    status: 201,
    aliases: {
      files: {
        variable: 'fileIds',
        read: (value) => value,
        description: 'Another name for `fileIds`.',
        schema: { type: ['array', 'null'], items: { type: 'string' } },
      },
    },
  },
  {
    method: 'GET',
    path: '/api/chats/{chatId}/messages',
    id: 'listMessages',
    tag: 'Messages',
    summary: 'The messages of a chat, newest first',
    document: `query ($chatId: ID!, $limit: Int! = 50, $cursor: String) {
      chat(id: $chatId) { messages(last: $limit, before: $cursor) ${pageFromEnd('...Message')} }
    }`,
    result: 'chat.messages',
    isReversed: true,
    maxLimit,
  },
  {
    method: 'GET',
    path: '/api/chats/{chatId}/pins',
    id: 'listPins',
    tag: 'Messages',
    summary: 'The pinned messages of a chat',
    document: 'query ($chatId: ID!) { chat(id: $chatId) { pinnedMessages { ...Message } } }',
    result: 'chat.pinnedMessages',
  },
  {
    method: 'GET',
    path: '/api/chats/{chatId}/files',
    id: 'listFiles',
    tag: 'Files',
    summary: 'The files of a chat, newest first',
    document: `query ($chatId: ID!, $limit: Int! = 50, $cursor: String) {
      chat(id: $chatId) { files(last: $limit, before: $cursor) ${pageFromEnd('...File')} }
    }`,
    result: 'chat.files',
    isReversed: true,
  },
  {
    method: 'GET',
    path: '/api/files/{fileId}',
    id: 'getFile',
    tag: 'Files',
    summary: 'A file, with new links to it',
    document: 'query ($fileId: ID!) { node(id: $fileId) { __typename ... on File { ...File } } }',
    result: 'node',
    statuses: { File: 200 },
  },
  {
    method: 'GET',
    path: '/api/search',
    id: 'searchMessages',
    tag: 'Messages',
    summary: 'Search the messages that you may read, newest first by default',
    document: `query (
      $q: String, $chatId: ID, $senderId: ID, $has: MessagePart, $sentAfter: DateTime, $sentBefore: DateTime
      $mentionsViewer: Boolean, $isPinned: Boolean, $sort: MessageSort, $limit: Int, $cursor: String
    ) {
      searchMessages(
        query: $q, sort: $sort, first: $limit, after: $cursor
        filter: {
          chatId: $chatId, senderId: $senderId, has: $has, sentAfter: $sentAfter, sentBefore: $sentBefore
          mentionsViewer: $mentionsViewer, isPinned: $isPinned
        }
      ) ${pageOf('...Message')}
    }`,
    result: 'searchMessages',
    maxLimit,
  },
  {
    method: 'GET',
    path: '/api/messages/{messageId}',
    id: 'getMessage',
    tag: 'Messages',
    summary: 'A message',
    document: 'query ($messageId: ID!) { node(id: $messageId) { __typename ... on Message { ...Message } } }',
    result: 'node',
    statuses: { Message: 200 },
  },
  {
    method: 'PATCH',
    path: '/api/messages/{messageId}',
    id: 'editMessage',
    tag: 'Messages',
    summary: 'Edit a message',
    document: `mutation ($messageId: ID!, $content: String!) {
      editMessage(messageId: $messageId, content: $content) { ${message} }
    }`,
    result: 'editMessage',
  },
  {
    method: 'DELETE',
    path: '/api/messages/{messageId}',
    id: 'deleteMessage',
    tag: 'Messages',
    summary: 'Delete a message',
    document: 'mutation ($messageId: ID!) { deleteMessage(messageId: $messageId) { ...Problem } }',
    result: 'deleteMessage',
    status: 204,
  },
  {
    method: 'PUT',
    path: '/api/messages/{messageId}/reactions/{emoji}',
    id: 'addReaction',
    tag: 'Messages',
    summary: 'React to a message',
    document: `mutation ($messageId: ID!, $emoji: String!) {
      addReaction(messageId: $messageId, emoji: $emoji) { ...Problem }
    }`,
    result: 'addReaction',
    status: 204,
  },
  {
    method: 'DELETE',
    path: '/api/messages/{messageId}/reactions/{emoji}',
    id: 'removeReaction',
    tag: 'Messages',
    summary: 'Remove a reaction',
    document: `mutation ($messageId: ID!, $emoji: String!) {
      removeReaction(messageId: $messageId, emoji: $emoji) { ...Problem }
    }`,
    result: 'removeReaction',
    status: 204,
  },
  {
    method: 'PUT',
    path: '/api/messages/{messageId}/pin',
    id: 'pinMessage',
    tag: 'Messages',
    summary: 'Pin a message',
    document: 'mutation ($messageId: ID!) { pinMessage(messageId: $messageId) { ...Problem } }',
    result: 'pinMessage',
    status: 204,
  },
  {
    method: 'DELETE',
    path: '/api/messages/{messageId}/pin',
    id: 'unpinMessage',
    tag: 'Messages',
    summary: 'Unpin a message',
    document: 'mutation ($messageId: ID!) { unpinMessage(messageId: $messageId) { ...Problem } }',
    result: 'unpinMessage',
    status: 204,
  },
];
