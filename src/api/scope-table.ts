import type { Scope } from '../core/scope.ts';

/**
 * The scopes that a program needs to use a field or a type. ANYONE: no scope. DEVICE: only for people on their devices,
 * signed in or not, and never for a program. Otherwise, the program needs all of the scopes in `all`, or one of the
 * scopes in `any`. `isOwn`: the field changes only a user's own profile or blocks, so a bot needs no scope for it.
 * `isNeverActing`: the access is forbidden while the program acts as a user.
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
// Not available to a program that acts as a user, because the webhook would keep that user's rights after the program
// lost them.
const ownWebhooks = { any: ['WEBHOOKS'], isNeverActing: true } as const;
const anyWebhooks = { ...webhooks, isNeverActing: true } as const;

/**
 * The scopes that each query, mutation and subscription requires. The schema cannot be built if a field is missing
 * here.
 */
export const rootAccess: Record<'Query' | 'Mutation' | 'Subscription', Record<string, Access>> = {
  Query: {
    admin: staff,
    api: 'ANYONE',
    chat: readChats,
    chatByKey: readChats,
    invite: readChats,
    // The type of a node decides which of its fields may be selected.
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

/** The scopes that a program needs to send files, by any protocol. */
export const uploadAccess: Access = writeMessages;

/**
 * The scopes that a program needs to select fields of each object type, no matter by which path it reaches the object.
 * A connection and its edges need the same scopes as their nodes. `id` and `__typename` need no scope, so that a
 * program without MESSAGES_READ can read the id of a message that it has written. The schema cannot be built if a type
 * is missing here.
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
  // The reporter sees that the report exists, and staff see the rest of it.
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

/** The scopes that individual fields require instead of those of their type. */
export const fieldAccess: Record<string, Access> = {
  'Viewer.email': readUsers,
  'Viewer.hasPassword': readUsers,
  'Viewer.isEmailVerified': readUsers,
  'Viewer.serverRole': readUsers,
  'Viewer.sessions': 'DEVICE',
  'Viewer.unreadChatCount': readChats,
};
