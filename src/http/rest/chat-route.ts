import { encodeId } from '../../core/id.ts';
import { pageOf } from './page.ts';
import type { Alias, Route } from './route.ts';

/**
 * Reads a user's id. In addition to the ids of this API, it accepts an id in the format of the original API, which is a
 * number.
 */
function readUserId(value: unknown): unknown {
  const isNumber = typeof value === 'number' && Number.isSafeInteger(value) && value > 0;
  return isNumber ? encodeId('User', value) : value;
}

/** Returns an alias with which clients can send `user_id` instead of a list with one user. */
export function userIdFor(variable: string): Alias {
  return {
    variable,
    read: (value) => [readUserId(value)],
    description: `One user, in place of \`${variable}\`: an id, or the number of a user.`,
    schema: { type: ['string', 'integer'] },
  };
}

const chat = '... on Chat { ...Chat } ...Problem';

/** The routes for chats, and for the asker's actions in them. */
export const chatRoutes: readonly Route[] = [
  {
    method: 'POST',
    path: '/api/chats',
    id: 'createChat',
    tag: 'Chats',
    summary: 'Create a chat',
    document: `mutation ($type: ChatType!, $name: String, $description: String, $memberIds: [ID!]) {
      createChat(input: { type: $type, name: $name, description: $description, memberIds: $memberIds }) { ${chat} }
    }`,
    result: 'createChat',
    status: 201,
    aliases: { user_id: userIdFor('memberIds') },
  },
  {
    method: 'GET',
    path: '/api/chats',
    id: 'listChats',
    tag: 'Chats',
    summary: 'Your chats',
    document: `query ($type: ChatType, $limit: Int, $cursor: String) {
      viewer { chats(type: $type, first: $limit, after: $cursor) ${pageOf('...Chat')} }
    }`,
    result: 'viewer.chats',
  },
  {
    method: 'GET',
    path: '/api/channels',
    id: 'listPublicChannels',
    tag: 'Chats',
    summary: 'The public channels',
    document: `query ($search: String, $limit: Int, $cursor: String) {
      publicChannels(search: $search, first: $limit, after: $cursor) ${pageOf('...Chat')}
    }`,
    result: 'publicChannels',
  },
  {
    method: 'GET',
    path: '/api/by-key/chats/{key}',
    id: 'getChatByKey',
    tag: 'Chats',
    summary: 'The chat with the given external key',
    document: 'query ($key: String!) { chatByKey(key: $key) { ...PlainChat } }',
    result: 'chatByKey',
  },
  {
    method: 'PUT',
    path: '/api/by-key/chats/{key}',
    id: 'putChatByKey',
    tag: 'Chats',
    summary: 'Create or update the chat with the given external key',
    document: `mutation (
      $key: String!, $type: ChatType!, $name: String, $description: String, $memberIds: [ID!], $ownerIds: [ID!],
      $custom: JSON
    ) {
      upsertChat(input: {
        key: $key, type: $type, name: $name, description: $description, memberIds: $memberIds, ownerIds: $ownerIds,
        custom: $custom
      }) { ... on Chat { ...PlainChat } ...Problem }
    }`,
    result: 'upsertChat',
  },
  {
    method: 'GET',
    path: '/api/chats/{chatId}',
    id: 'getChat',
    tag: 'Chats',
    summary: 'A chat',
    document: 'query ($chatId: ID!) { chat(id: $chatId) { ...Chat } }',
    result: 'chat',
  },
  {
    method: 'PATCH',
    path: '/api/chats/{chatId}',
    id: 'updateChat',
    tag: 'Chats',
    summary: 'Change a chat',
    document: `mutation (
      $chatId: ID!, $name: String, $description: String, $type: ChatType, $slowModeSeconds: Int
    ) {
      updateChat(input: {
        chatId: $chatId, name: $name, description: $description, type: $type, slowModeSeconds: $slowModeSeconds
      }) { ${chat} }
    }`,
    result: 'updateChat',
  },
  {
    method: 'DELETE',
    path: '/api/chats/{chatId}',
    id: 'deleteChat',
    tag: 'Chats',
    summary: 'Delete a chat',
    document: 'mutation ($chatId: ID!) { deleteChat(chatId: $chatId) { ...Problem } }',
    result: 'deleteChat',
    status: 204,
  },
  {
    method: 'PUT',
    path: '/api/chats/{chatId}/avatar',
    id: 'setChatAvatar',
    tag: 'Chats',
    summary: "Set or remove a chat's avatar",
    document: `mutation ($chatId: ID!, $fileId: ID) {
      setAvatar(chatId: $chatId, fileId: $fileId) { ${chat} }
    }`,
    result: 'setAvatar',
  },
  {
    method: 'PUT',
    path: '/api/chats/{chatId}/read',
    id: 'markRead',
    tag: 'Chats',
    summary: 'Move the read marker',
    document: `mutation ($chatId: ID!, $seq: Int!, $rewind: Boolean) {
      markRead(chatId: $chatId, seq: $seq, rewind: $rewind) { ... on Member { ...Membership } ...Problem }
    }`,
    result: 'markRead',
  },
  {
    method: 'POST',
    path: '/api/chats/{chatId}/typing',
    id: 'startTyping',
    tag: 'Chats',
    summary: 'Show that you are typing',
    document: 'mutation ($chatId: ID!) { startTyping(chatId: $chatId) }',
    result: 'startTyping',
    status: 204,
  },
  {
    method: 'PUT',
    path: '/api/chats/{chatId}/notifications',
    id: 'setNotificationLevel',
    tag: 'Chats',
    summary: 'Choose which unread messages make the chat count as unread',
    document: `mutation ($chatId: ID!, $level: NotificationLevel!) {
      setNotificationLevel(chatId: $chatId, level: $level) { ... on Member { ...Membership } ...Problem }
    }`,
    result: 'setNotificationLevel',
  },
];
