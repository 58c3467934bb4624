import { pageOf } from './page.ts';
import type { Route } from './route.ts';

/** Other users. */
export const userRoutes: readonly Route[] = [
  {
    method: 'GET',
    path: '/api/users',
    id: 'listUsers',
    tag: 'Users',
    summary: 'Find users by the beginnings of words in their names',
    document: `query ($search: String!, $limit: Int, $cursor: String) {
      users(search: $search, first: $limit, after: $cursor) ${pageOf('...User')}
    }`,
    result: 'users',
  },
  {
    method: 'GET',
    path: '/api/by-key/users/{key}',
    id: 'getUserByKey',
    tag: 'Users',
    summary: 'The user with the given external key',
    document: 'query ($key: String!) { userByKey(key: $key) { ...PlainUser } }',
    result: 'userByKey',
  },
  {
    method: 'PUT',
    path: '/api/by-key/users/{key}',
    id: 'putUserByKey',
    tag: 'Users',
    summary: 'Create or update the user with the given external key',
    document: `mutation ($key: String!, $username: String, $displayName: String, $email: String, $custom: JSON) {
      upsertUser(input: {
        key: $key, username: $username, displayName: $displayName, email: $email, custom: $custom
      }) { ... on User { ...PlainUser } ...Problem }
    }`,
    result: 'upsertUser',
  },
  {
    method: 'GET',
    path: '/api/users/{userId}',
    id: 'getUser',
    tag: 'Users',
    summary: 'A user',
    document: 'query ($userId: ID!) { node(id: $userId) { __typename ... on User { ...User } } }',
    result: 'node',
    statuses: { User: 200 },
  },
  {
    method: 'PUT',
    path: '/api/users/{userId}/block',
    id: 'blockUser',
    tag: 'Users',
    summary: 'Block a user',
    document: 'mutation ($userId: ID!) { blockUser(userId: $userId) { ...Problem } }',
    result: 'blockUser',
    status: 204,
  },
  {
    method: 'DELETE',
    path: '/api/users/{userId}/block',
    id: 'unblockUser',
    tag: 'Users',
    summary: 'Lift a block',
    document: 'mutation ($userId: ID!) { unblockUser(userId: $userId) { ...Problem } }',
    result: 'unblockUser',
    status: 204,
  },
  {
    method: 'GET',
    path: '/api/me/blocks',
    id: 'listBlockedUsers',
    tag: 'Users',
    summary: 'The users that you have blocked',
    document: `query ($limit: Int, $cursor: String) {
      viewer { blockedUsers(first: $limit, after: $cursor) ${pageOf('...User')} }
    }`,
    result: 'viewer.blockedUsers',
  },
];
