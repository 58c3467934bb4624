const user = 'fragment U on User{id username displayName kind avatar{id}}';
const message = `fragment M on Message{id seq kind content clientMessageId createdAt editedAt deletedAt custom
sender{...U}replyTo{id seq content deletedAt sender{id}}mentions{isEveryone user{id}}
files{id name contentType size width height blurhash}}${user}`;
const face = 'fragment F on Chat{id type name description slowModeSeconds avatar{id}custom}';
const own = '...M reactions{emoji count viewerReacted}';
const chat = `fragment C on Chat{...F lastSeq lastActivityAt peer{...U}lastMessage{${own}}
viewerMembership{role mutedUntil notificationLevel lastReadSeq unreadCount unreadMentionCount}}${face}${message}`;
const page = `edges{node{${own}}}pageInfo{hasPreviousPage hasNextPage}`;
const shared = '...M reactions{emoji count}chat{id}';
const refusal = '...on Error{code message}';
const failure = `${refusal}...on InvalidInput{fields{path message}}`;

/**
 * Subscribes to all events of the viewer. Selects no fields that depend on who asks, such as `viewerMembership`, so
 * that the server can execute it once for everyone.
 */
export const eventsDocument = `subscription($after:String){events(after:$after){cursor at event{__typename
...on NewMessage{message{${shared} chat{lastActivityAt}}}
...on MessageEdited{message{${shared}}}
...on MessageDeleted{message{${shared}}}
...on ReactionsChanged{message{id reactions{emoji count}chat{id}}emoji userId added}
...on ReadMarkerMoved{member{lastReadSeq chat{id}}}
...on NotificationLevelChanged{member{notificationLevel chat{id}}}
...on NewChat{chat{id}}
...on AddToChat{chat{...F}addedCount members{role mutedUntil user{...U}}}
...on RemoveFromChat{chatId userId}
...on ChatUpdated{chat{...F}}
...on ChatDeleted{chatId}
...on MemberUpdated{member{role mutedUntil user{id}chat{id}}}
...on PinsChanged{pinned message{id chat{id}}}
...on UserUpdated{user{...U}}
...on PresenceChanged{userId presence{status lastSeenAt}}
...on Typing{chatId userId user{...U}}
...on CaughtUp{replayed}
...on Reset{reason}}}}${face}${message}`;

/** How many chats one query fetches. The number is small because their newest messages may be large. */
export const chatsPerQuery = 40;
const pageSize = 50;

/** A page of the viewer’s chats, with the log position at which it was read. */
export const chatsDocument = `query($after:String){viewer{id eventCursor user{...U}
chats(first:${chatsPerQuery},after:$after){edges{node{...C}}pageInfo{hasNextPage endCursor}}}}${chat}`;
/** Chats by their ids, with the log position at which they were read. */
export const chatNodesDocument = `query($ids:[ID!]!){viewer{eventCursor}nodes(ids:$ids){...C}}${chat}`;
/** The current log position. */
export const cursorDocument = '{viewer{eventCursor}}';

const inChat = (selection: string, more = '', parameters = '') =>
  `query($id:ID!${parameters}){viewer{eventCursor}chat(id:$id){id type ${selection}}}${more}`;
/** The last page of a chat. */
export const newestDocument = inChat(`page:messages(last:${pageSize}){${page}}`, message);
/** The page before a message. */
export const olderDocument = inChat(
  `page:messagesAround(seq:$seq,countBefore:${pageSize},countAfter:0){${page}}`,
  message,
  ',$seq:Int!',
);
/** The page after a message. */
export const newerDocument = inChat(
  `page:messagesAround(seq:$seq,countBefore:0,countAfter:${pageSize}){${page}}`,
  message,
  ',$seq:Int!',
);
/** The page around a message. */
export const aroundDocument = inChat(`page:messagesAround(seq:$seq){${page}}`, message, ',$seq:Int!');
/** A page of a chat’s members. */
export const membersDocument = inChat(
  'members(first:100,after:$after){edges{node{role mutedUntil user{...U}}}pageInfo{hasNextPage endCursor}}',
  user,
  ',$after:String',
);
/** The presence of users. */
export const presenceDocument = 'query($ids:[ID!]!){nodes(ids:$ids){...on User{id presence{status lastSeenAt}}}}';
const tokens = '...on SignedIn{accessToken accessTokenExpiresAt refreshToken}';
/** Signs the user up, and returns the session’s tokens. */
export const signUpDocument = `mutation($input:SignUpInput!){signUp(input:$input){__typename ${tokens}${failure}}}`;
/** Signs the user in, and returns the session’s tokens. */
export const signInDocument = `mutation($input:SignInInput!){signIn(input:$input){__typename ${tokens}${failure}...on Forbidden{until reason}}}`;
/** Exchanges the refresh token for new tokens. */
export const refreshDocument = `mutation($token:String!){refreshSession(refreshToken:$token){__typename ${tokens}${refusal}}}`;
/** Ends the session. */
export const signOutDocument = 'mutation{signOut}';
/** The viewer’s sessions. */
export const sessionsDocument = '{viewer{sessions{id isCurrent}}}';
/** Ends another session. */
export const revokeDocument = `mutation($id:ID!){revokeSession(sessionId:$id){__typename ${refusal}}}`;

/** Sends a message. */
export const sendDocument = `mutation($input:SendMessageInput!){sendMessage(input:$input){__typename ...on Message{${own}}${failure}}}${message}`;
/** Edits a message. */
export const editDocument = `mutation($id:ID!,$content:String!){editMessage(messageId:$id,content:$content){__typename ...on Message{${own}}${failure}}}${message}`;
/** Deletes a message. */
export const deleteDocument = `mutation($id:ID!){deleteMessage(messageId:$id){__typename ${refusal}}}`;
/** Adds a reaction. */
export const addReactionDocument = `mutation($id:ID!,$emoji:String!){addReaction(messageId:$id,emoji:$emoji){__typename ${failure}}}`;
/** Removes a reaction. */
export const removeReactionDocument = `mutation($id:ID!,$emoji:String!){removeReaction(messageId:$id,emoji:$emoji){__typename ${refusal}}}`;
/** Moves the viewer’s read marker. */
export const markReadDocument = `mutation($id:ID!,$seq:Int!){markRead(chatId:$id,seq:$seq){__typename ${failure}}}`;
/** Tells the server that the viewer is typing. */
export const typingDocument = 'mutation($id:ID!){startTyping(chatId:$id)}';
/** Creates a chat. */
export const createChatDocument = `mutation($input:CreateChatInput!){createChat(input:$input){__typename ...on Chat{id}${failure}}}`;
