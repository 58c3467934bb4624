import { userIdFor } from './chat-route.ts';
import { pageOf } from './page.ts';
import type { Route } from './route.ts';

const chat = '... on Chat { ...Chat } ...Problem';

/** The routes for the members of a chat. */
export const memberRoutes: readonly Route[] = [
  {
    method: 'GET',
    path: '/api/chats/{chatId}/members',
    id: 'listMembers',
    tag: 'Members',
    summary: 'The members of a chat',
    document: `query ($chatId: ID!, $limit: Int, $cursor: String) {
      chat(id: $chatId) { members(first: $limit, after: $cursor) ${pageOf('...Member')} }
    }`,
    result: 'chat.members',
  },
  {
    method: 'POST',
    path: '/api/chats/{chatId}/members',
    id: 'addMembers',
    tag: 'Members',
    summary: 'Add users to a chat',
    document: `mutation ($chatId: ID!, $userIds: [ID!]!, $history: SharedHistory) {
      addMembers(chatId: $chatId, userIds: $userIds, history: $history) { ${chat} }
    }`,
    result: 'addMembers',
    aliases: { user_id: userIdFor('userIds') },
  },
  {
    method: 'PUT',
    path: '/api/chats/{chatId}/members/me',
    id: 'joinChat',
    tag: 'Members',
    summary: 'Join a public channel',
    document: `mutation ($chatId: ID!) { joinChat(chatId: $chatId) { ${chat} } }`,
    result: 'joinChat',
  },
  {
    method: 'DELETE',
    path: '/api/chats/{chatId}/members/me',
    id: 'leaveChat',
    tag: 'Members',
    summary: 'Leave a chat',
    document: 'mutation ($chatId: ID!) { leaveChat(chatId: $chatId) { ...Problem } }',
    result: 'leaveChat',
    status: 204,
  },
  {
    method: 'PATCH',
    path: '/api/chats/{chatId}/members/{userId}',
    id: 'setMemberRole',
    tag: 'Members',
    summary: "Change a member's role",
    document: `mutation ($chatId: ID!, $userId: ID!, $role: MemberRole!) {
      setMemberRole(chatId: $chatId, userId: $userId, role: $role) { ... on Member { ...Member } ...Problem }
    }`,
    result: 'setMemberRole',
  },
  {
    method: 'DELETE',
    path: '/api/chats/{chatId}/members/{userId}',
    id: 'removeMember',
    tag: 'Members',
    summary: 'Remove a member',
    document: `mutation ($chatId: ID!, $userId: ID!) {
      removeMember(chatId: $chatId, userId: $userId) { ...Problem }
    }`,
    result: 'removeMember',
    status: 204,
  },
];
