import type { Scope } from '../core/scope.ts';

/**
 * What a program needs to use a field or a type. ANYONE: no scope. DEVICE: for people on their devices, signed in or
 * not, never for a program. Otherwise all of `all`, or one of `any`. `isOwn`: it changes a user's own profile or
 * blocks, so a bot needs no scope. `isNeverActing`: Forbidden while the program acts as a user.
 */
export type Access = 'ANYONE' | 'DEVICE' | (RequiredScopes & { isOwn?: true; isNeverActing?: true });
type RequiredScopes = { any: readonly Scope[] } | { all: readonly Scope[] };

const any = (...scopes: Scope[]) => ({ any: scopes });
const staff = any('MODERATE', 'ADMIN');
const admin = any('ADMIN');
const adminItself = { any: ['ADMIN'], isNeverActing: true } as const;
const own = { any: ['USERS_WRITE'], isOwn: true } as const;
const readUsers = any('USERS_READ');
const writeUsers = any('USERS_WRITE');
const readChats = any('CHATS_READ');
const writeChats = any('CHATS_WRITE');
const readMessages = any('MESSAGES_READ');
const writeMessages = any('MESSAGES_WRITE');
const webhooks = any('WEBHOOKS', 'ADMIN');
// Not for a program that acts as a user: the webhook would keep that user's rights after the program lost them.
const ownWebhooks = { any: ['WEBHOOKS'], isNeverActing: true } as const;
const anyWebhooks = { ...webhooks, isNeverActing: true } as const;

/** What each query, mutation and subscription needs. The schema cannot be built while a field is missing here. */
export const rootAccess: Record<'Query' | 'Mutation' | 'Subscription', Record<string, Access>> = {
  Query: {
    admin: staff,
    api: 'ANYONE',
    chat: readChats,
    chatByKey: readChats,
    invite: readChats,
    // Which fields of a node may be selected depends on its type.
    node: 'ANYONE',
    nodes: 'ANYONE',
    publicChannels: readChats,
    searchMessages: readMessages,
    user: readUsers,
    userByKey: readUsers,
    users: readUsers,
    viewer: 'ANYONE',
  },
  Mutation: {
    addMembers: writeChats,
    addReaction: writeMessages,
    banMember: writeChats,
    blockUser: own,
    changeEmail: 'DEVICE',
    changePassword: 'DEVICE',
    createApiKey: adminItself,
    createBot: adminItself,
    createChat: writeChats,
    createIncomingWebhook: webhooks,
    createInvite: writeChats,
    createUserSession: { any: ['ACT_AS'], isNeverActing: true },
    createWebhook: ownWebhooks,
    deleteAccount: 'DEVICE',
    deleteChat: writeChats,
    deleteMessage: writeMessages,
    deleteWebhook: anyWebhooks,
    editMessage: writeMessages,
    endSession: adminItself,
    eraseUser: admin,
    joinByInvite: writeChats,
    joinChat: writeChats,
    leaveChat: writeChats,
    markRead: writeChats,
    muteMember: writeChats,
    pinMessage: writeMessages,
    refreshSession: 'DEVICE',
    removeMember: writeChats,
    removeReaction: writeMessages,
    reportMessage: writeMessages,
    requestEmailVerification: 'DEVICE',
    requestPasswordReset: 'DEVICE',
    resetPassword: 'DEVICE',
    resolveReport: staff,
    revokeApiKey: adminItself,
    revokeIncomingWebhook: webhooks,
    revokeInvite: writeChats,
    revokeSession: 'DEVICE',
    rotateWebhookSecret: ownWebhooks,
    sendMessage: writeMessages,
    setAvatar: { any: ['USERS_WRITE', 'CHATS_WRITE'], isOwn: true },
    setMemberRole: writeChats,
    setNotificationLevel: writeChats,
    setPresence: 'DEVICE',
    setServerRole: admin,
    signIn: 'DEVICE',
    signInWithToken: 'DEVICE',
    signOut: 'DEVICE',
    signUp: 'DEVICE',
    startTyping: writeMessages,
    streamToken: 'DEVICE',
    suspendUser: staff,
    unbanMember: writeChats,
    unblockUser: own,
    unmuteMember: writeChats,
    unpinMessage: writeMessages,
    unsuspendUser: staff,
    updateChat: writeChats,
    updateProfile: own,
    updateWebhook: anyWebhooks,
    uploadFile: writeMessages,
    upsertChat: writeChats,
    upsertUser: writeUsers,
    verifyEmail: 'DEVICE',
  },
  Subscription: {
    allEvents: readMessages,
    chatEvents: { all: ['CHATS_READ', 'MESSAGES_READ'] },
    events: { all: ['CHATS_READ', 'MESSAGES_READ'] },
  },
};

/** What a program needs to send files, by any protocol. */
export const uploadAccess: Access = writeMessages;

/**
 * What a program needs to select fields of each object type, however it reaches the object; a connection and its edges
 * need what their nodes do. `id` and `__typename` need no scope, so that a program without MESSAGES_READ learns the id
 * of what it has written. The schema cannot be built while a type is missing here.
 */
export const typeAccess: Record<string, Access> = {
  AccountGone: 'ANYONE',
  AddToChat: readChats,
  Admin: staff,
  AdminChat: admin,
  AdminUser: staff,
  Api: 'ANYONE',
  ApiKey: admin,
  AuditEntry: admin,
  Ban: readChats,
  CaughtUp: 'ANYONE',
  Chat: readChats,
  ChatDeleted: readChats,
  ChatGone: 'ANYONE',
  ChatUpdated: readChats,
  Conflict: 'ANYONE',
  CreatedApiKey: 'ANYONE',
  CreatedIncomingWebhook: webhooks,
  CreatedWebhook: webhooks,
  EmailVerified: 'ANYONE',
  EventEnvelope: 'ANYONE',
  FieldError: 'ANYONE',
  File: readMessages,
  Forbidden: 'ANYONE',
  IncomingWebhook: webhooks,
  InvalidCredentials: 'ANYONE',
  InvalidInput: 'ANYONE',
  Invite: readChats,
  LastOwner: 'ANYONE',
  Member: readChats,
  MemberUpdated: readChats,
  Mention: readMessages,
  Message: readMessages,
  MessageDeleted: readMessages,
  MessageEdited: readMessages,
  MessageRevision: readMessages,
  MessageSearch: readMessages,
  NearbyMessage: staff,
  NewChat: readChats,
  NewMessage: readMessages,
  NotFound: 'ANYONE',
  NotificationLevelChanged: readChats,
  PageInfo: 'ANYONE',
  PinsChanged: readMessages,
  Presence: readUsers,
  PresenceChanged: readUsers,
  Reaction: readMessages,
  ReactionsChanged: readMessages,
  ReadMarkerMoved: readChats,
  RemoveFromChat: readChats,
  // The reporter sees that the report exists; staff see the rest.
  Report: any('MESSAGES_READ', 'MODERATE', 'ADMIN'),
  ReportedFile: staff,
  Reset: 'ANYONE',
  Session: admin,
  SignUpStarted: 'ANYONE',
  SignedIn: 'ANYONE',
  Suspension: staff,
  TextRange: readMessages,
  Typing: readChats,
  // Staff see everyone.
  User: any('USERS_READ', 'MODERATE', 'ADMIN'),
  UserUpdated: readUsers,
  Viewer: 'ANYONE',
  Webhook: webhooks,
  WebhookDelivery: webhooks,
};

/** What individual fields need, in place of what their type needs. */
export const fieldAccess: Record<string, Access> = {
  'Viewer.email': readUsers,
  'Viewer.hasPassword': readUsers,
  'Viewer.isEmailVerified': readUsers,
  'Viewer.serverRole': readUsers,
  'Viewer.sessions': 'DEVICE',
  'Viewer.unreadChatCount': readChats,
};
