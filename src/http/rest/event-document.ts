/**
 * The fields of each event that `/api/events` selects. Presence is not selected, because a subscription that selects
 * presence receives the presence of everyone who shares a chat with the asker.
 */
const envelope = `{
  at
  event {
    type: __typename
    ... on CaughtUp { replayed }
    ... on Reset { reason }
    ... on NewChat { chat { ...PlainChat } }
    ... on ChatUpdated { chat { ...PlainChat } }
    ... on ChatDeleted { chatId }
    ... on AddToChat { chat { ...PlainChat } members { ...EventMember } addedCount }
    ... on RemoveFromChat { chatId userId }
    ... on MemberUpdated { member { ...EventMember } }
    ... on NewMessage { message { ...EventMessage } }
    ... on MessageEdited { message { ...EventMessage } }
    ... on MessageDeleted { message { ...EventMessage } }
    ... on PinsChanged { message { ...EventMessage } pinned }
    ... on ReactionsChanged { message { ...EventMessage } emoji added count userId }
    ... on ReadMarkerMoved { member { chat { id } lastReadSeq unreadCount unreadMentionCount } }
    ... on NotificationLevelChanged { member { chat { id } notificationLevel } }
    ... on Typing { chatId userId }
    ... on UserUpdated { user { ...Author } }
  }
}`;

/** The subscription behind `GET /api/events`. */
export const eventsDocument = `subscription ($after: String) { events(after: $after) ${envelope} }`;

/** The subscription behind the events of one chat. */
export const chatEventsDocument = `subscription ($chatId: ID!, $after: String) {
  chatEvents(chatId: $chatId, after: $after) ${envelope}
}`;
