/** Written by `npm run schema`. */
export const possibleTypes: Record<string, string[]> = {
  "AddMembersResult": [
    "Chat",
    "Forbidden",
    "InvalidInput",
    "NotFound"
  ],
  "AddReactionResult": [
    "Forbidden",
    "InvalidInput",
    "Message",
    "NotFound"
  ],
  "BanMemberResult": [
    "Ban",
    "Forbidden",
    "InvalidInput",
    "NotFound"
  ],
  "BlockUserResult": [
    "InvalidInput",
    "NotFound",
    "User"
  ],
  "ChangeEmailResult": [
    "Forbidden",
    "InvalidCredentials",
    "InvalidInput",
    "Viewer"
  ],
  "ChangePasswordResult": [
    "Forbidden",
    "InvalidCredentials",
    "InvalidInput",
    "SignedIn"
  ],
  "CreateApiKeyResult": [
    "CreatedApiKey",
    "Forbidden",
    "InvalidInput"
  ],
  "CreateBotResult": [
    "Conflict",
    "CreatedApiKey",
    "Forbidden",
    "InvalidInput"
  ],
  "CreateChatResult": [
    "Chat",
    "Forbidden",
    "InvalidInput",
    "NotFound"
  ],
  "CreateIncomingWebhookResult": [
    "CreatedIncomingWebhook",
    "Forbidden",
    "InvalidInput",
    "NotFound"
  ],
  "CreateInviteResult": [
    "Forbidden",
    "InvalidInput",
    "Invite",
    "NotFound"
  ],
  "CreateUserSessionResult": [
    "Forbidden",
    "NotFound",
    "SignedIn"
  ],
  "CreateWebhookResult": [
    "CreatedWebhook",
    "Forbidden",
    "InvalidInput",
    "NotFound"
  ],
  "DeleteAccountResult": [
    "AccountGone",
    "InvalidCredentials",
    "InvalidInput"
  ],
  "DeleteChatResult": [
    "ChatGone",
    "Forbidden",
    "NotFound"
  ],
  "DeleteMessageResult": [
    "Forbidden",
    "Message",
    "NotFound"
  ],
  "DeleteWebhookResult": [
    "Forbidden",
    "NotFound",
    "Webhook"
  ],
  "EditMessageResult": [
    "Forbidden",
    "InvalidInput",
    "Message",
    "NotFound"
  ],
  "EndSessionResult": [
    "Forbidden",
    "NotFound",
    "Session"
  ],
  "EraseUserResult": [
    "AccountGone",
    "Forbidden",
    "NotFound"
  ],
  "Error": [
    "Conflict",
    "Forbidden",
    "InvalidCredentials",
    "InvalidInput",
    "LastOwner",
    "NotFound"
  ],
  "Event": [
    "AddToChat",
    "CaughtUp",
    "ChatDeleted",
    "ChatUpdated",
    "MemberUpdated",
    "MessageDeleted",
    "MessageEdited",
    "NewChat",
    "NewMessage",
    "NotificationLevelChanged",
    "PinsChanged",
    "PresenceChanged",
    "ReactionsChanged",
    "ReadMarkerMoved",
    "RemoveFromChat",
    "Reset",
    "Typing",
    "UserUpdated"
  ],
  "JoinByInviteResult": [
    "Chat",
    "Forbidden",
    "NotFound",
    "Viewer"
  ],
  "JoinChatResult": [
    "Chat",
    "Forbidden",
    "NotFound"
  ],
  "LeaveChatResult": [
    "ChatGone",
    "Forbidden",
    "LastOwner",
    "NotFound"
  ],
  "MarkReadResult": [
    "InvalidInput",
    "Member",
    "NotFound"
  ],
  "MuteMemberResult": [
    "Forbidden",
    "InvalidInput",
    "Member",
    "NotFound"
  ],
  "Node": [
    "AdminChat",
    "AdminUser",
    "ApiKey",
    "AuditEntry",
    "Ban",
    "Chat",
    "File",
    "IncomingWebhook",
    "Invite",
    "Member",
    "Message",
    "Report",
    "Session",
    "User",
    "Webhook"
  ],
  "PinMessageResult": [
    "Forbidden",
    "InvalidInput",
    "Message",
    "NotFound"
  ],
  "RefreshSessionResult": [
    "InvalidCredentials",
    "SignedIn"
  ],
  "RemoveMemberResult": [
    "Chat",
    "Forbidden",
    "LastOwner",
    "NotFound"
  ],
  "RemoveReactionResult": [
    "Message",
    "NotFound"
  ],
  "ReportMessageResult": [
    "InvalidInput",
    "NotFound",
    "Report"
  ],
  "ResetPasswordResult": [
    "Forbidden",
    "InvalidCredentials",
    "InvalidInput",
    "SignedIn"
  ],
  "ResolveReportResult": [
    "Forbidden",
    "InvalidInput",
    "NotFound",
    "Report"
  ],
  "RevokeApiKeyResult": [
    "ApiKey",
    "Forbidden",
    "NotFound"
  ],
  "RevokeIncomingWebhookResult": [
    "Forbidden",
    "IncomingWebhook",
    "NotFound"
  ],
  "RevokeInviteResult": [
    "Forbidden",
    "Invite",
    "NotFound"
  ],
  "RevokeSessionResult": [
    "NotFound",
    "Session"
  ],
  "SendMessageResult": [
    "Conflict",
    "Forbidden",
    "InvalidInput",
    "Message",
    "NotFound"
  ],
  "SetAvatarResult": [
    "Chat",
    "Forbidden",
    "InvalidInput",
    "NotFound",
    "User"
  ],
  "SetMemberRoleResult": [
    "Forbidden",
    "LastOwner",
    "Member",
    "NotFound"
  ],
  "SetNotificationLevelResult": [
    "InvalidInput",
    "Member",
    "NotFound"
  ],
  "SetPresenceResult": [
    "InvalidInput",
    "Presence"
  ],
  "SetServerRoleResult": [
    "AdminUser",
    "Forbidden",
    "NotFound"
  ],
  "SignInResult": [
    "Forbidden",
    "InvalidCredentials",
    "InvalidInput",
    "SignedIn"
  ],
  "SignInWithTokenResult": [
    "Forbidden",
    "InvalidCredentials",
    "SignedIn"
  ],
  "SignUpResult": [
    "Conflict",
    "Forbidden",
    "InvalidInput",
    "SignUpStarted",
    "SignedIn"
  ],
  "SuspendUserResult": [
    "AdminUser",
    "Forbidden",
    "InvalidInput",
    "NotFound"
  ],
  "UnbanMemberResult": [
    "Chat",
    "Forbidden",
    "NotFound"
  ],
  "UnblockUserResult": [
    "InvalidInput",
    "NotFound",
    "User"
  ],
  "UnpinMessageResult": [
    "Forbidden",
    "Message",
    "NotFound"
  ],
  "UnsuspendUserResult": [
    "AdminUser",
    "Forbidden",
    "NotFound"
  ],
  "UpdateChatResult": [
    "Chat",
    "Forbidden",
    "InvalidInput",
    "NotFound"
  ],
  "UpdateProfileResult": [
    "InvalidInput",
    "User"
  ],
  "UpdateWebhookResult": [
    "Forbidden",
    "InvalidInput",
    "NotFound",
    "Webhook"
  ],
  "UploadFileResult": [
    "File",
    "InvalidInput"
  ],
  "UpsertChatResult": [
    "Chat",
    "Forbidden",
    "InvalidInput",
    "NotFound"
  ],
  "UpsertUserResult": [
    "Conflict",
    "Forbidden",
    "InvalidInput",
    "User"
  ],
  "VerifyEmailResult": [
    "EmailVerified",
    "InvalidCredentials"
  ]
};
