import type { Route } from './route.ts';

const signedIn = `... on SignedIn {
  token: accessToken refreshToken expiresAt: accessTokenExpiresAt viewer { user { ...User } }
}`;
const lift = { viewer: 'user' };

/** The routes for signing up, in and out, and for the asker's own account. */
export const accountRoutes: readonly Route[] = [
  {
    method: 'POST',
    path: '/api/signup',
    id: 'signUp',
    tag: 'Account',
    summary: 'Create an account',
    document: `mutation ($email: String!, $username: String!, $password: String!, $displayName: String, $inviteCode: String) {
      signUp(input: {
        email: $email, username: $username, password: $password, displayName: $displayName, inviteCode: $inviteCode
      }) { __typename ${signedIn} ... on SignUpStarted { email } ...Problem }
    }`,
    result: 'signUp',
    statuses: { SignedIn: 201, SignUpStarted: 202 },
    lift,
    isOpen: true,
  },
  {
    method: 'POST',
    path: '/api/signin',
    id: 'signIn',
    tag: 'Account',
    summary: 'Sign in',
    document: `mutation ($email: String!, $password: String!) {
      signIn(input: { email: $email, password: $password }) { ${signedIn} ...Problem }
    }`,
    result: 'signIn',
    lift,
    isOpen: true,
  },
  {
    method: 'POST',
    path: '/api/refresh',
    id: 'refresh',
    tag: 'Account',
    summary: 'Exchange a refresh token for new tokens',
    document: `mutation ($refreshToken: String!) {
      refreshSession(refreshToken: $refreshToken) { ${signedIn} ...Problem }
    }`,
    result: 'refreshSession',
    lift,
    isOpen: true,
  },
  {
    method: 'POST',
    path: '/api/signout',
    id: 'signOut',
    tag: 'Account',
    summary: 'Sign out',
    document: 'mutation { signOut }',
    result: 'signOut',
    status: 204,
  },
  {
    method: 'POST',
    path: '/api/verify-email',
    id: 'verifyEmail',
    tag: 'Account',
    summary: 'Verify an email address, or complete a sign-up',
    document: 'mutation ($token: String!) { verifyEmail(token: $token) { ... on EmailVerified { email } ...Problem } }',
    result: 'verifyEmail',
    isOpen: true,
  },
  {
    method: 'POST',
    path: '/api/forgot-password',
    id: 'forgotPassword',
    tag: 'Account',
    summary: 'Request an email with a code for setting a new password',
    document: 'mutation ($email: String!) { requestPasswordReset(email: $email) }',
    result: 'requestPasswordReset',
    status: 204,
    isOpen: true,
  },
  {
    method: 'POST',
    path: '/api/reset-password',
    id: 'resetPassword',
    tag: 'Account',
    summary: 'Set a new password with the code from an email',
    document: `mutation ($token: String!, $newPassword: String!) {
      resetPassword(token: $token, newPassword: $newPassword) { ${signedIn} ...Problem }
    }`,
    result: 'resetPassword',
    lift,
    isOpen: true,
  },
  {
    method: 'GET',
    path: '/api/me',
    id: 'getMe',
    tag: 'Account',
    summary: 'The account that the token belongs to',
    document: 'query { viewer { ...Me } }',
    result: 'viewer',
  },
  {
    method: 'PATCH',
    path: '/api/me',
    id: 'updateMe',
    tag: 'Account',
    summary: 'Change your profile',
    document: `mutation ($displayName: String) {
      updateProfile(input: { displayName: $displayName }) { ... on User { ...User } ...Problem }
    }`,
    result: 'updateProfile',
  },
  {
    method: 'PUT',
    path: '/api/me/avatar',
    id: 'setMyAvatar',
    tag: 'Account',
    summary: 'Set or remove your avatar',
    document: 'mutation ($fileId: ID) { setAvatar(fileId: $fileId) { ... on User { ...User } ...Problem } }',
    result: 'setAvatar',
  },
  {
    method: 'GET',
    path: '/api/me/sessions',
    id: 'listMySessions',
    tag: 'Account',
    summary: 'The devices that are signed in',
    document: 'query { viewer { sessions { ...Session } } }',
    result: 'viewer.sessions',
  },
  {
    method: 'DELETE',
    path: '/api/me/sessions/{sessionId}',
    id: 'endMySession',
    tag: 'Account',
    summary: 'Sign a device out',
    document: 'mutation ($sessionId: ID!) { revokeSession(sessionId: $sessionId) { ...Problem } }',
    result: 'revokeSession',
    status: 204,
  },
  {
    method: 'POST',
    path: '/api/me/stream-token',
    id: 'createStreamToken',
    tag: 'Events',
    summary: 'A token for the URL of an EventSource',
    document: 'mutation { streamToken }',
    result: '',
    status: 201,
  },
];
