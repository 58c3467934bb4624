import type { Member, User } from '../database/generated/prisma/client.ts';
import { maxPresenceAudience } from '../realtime/presence.ts';
import { builder } from './builder.ts';
import type { Envelope, EventValue } from './event-subject.ts';
import { encodeId } from './id.ts';
import { MemberRef } from './member.ts';
import { MessageRef } from './message.ts';
import { PresenceRef } from './presence.ts';
import { ChatRef } from './ref.ts';
import { UserRef } from './user.ts';

type Of<Kind extends EventValue['kind']> = Extract<EventValue, { kind: Kind }>;

const NewChat = builder.objectRef<Of<'NewChat'>>('NewChat').implement({
  description: "To each of a new chat's first members.",
  fields: (t) => ({ chat: t.field({ type: ChatRef, resolve: ({ chat }) => chat }) }),
});

const AddToChat = builder.objectRef<Of<'AddToChat'>>('AddToChat').implement({
  description:
    'To every member, the new ones included, once for all who were added together. To a new one it means: fetch this chat.',
  fields: (t) => ({
    chat: t.field({ type: ChatRef, resolve: ({ chat }) => chat }),
    members: t.field({
      type: [MemberRef],
      description: 'The first 100 of those added.',
      resolve: async ({ chat, memberIds, eventId }, _, { loaders }) => {
        const members = await loaders.member.loadMany(memberIds.map((userId) => ({ chatId: chat.id, userId })));
        return members.filter((member): member is Member => isRow(member) && member.sinceEvent === eventId);
      },
    }),
    addedCount: t.exposeInt('addedCount'),
  }),
});

const RemoveFromChat = builder.objectRef<Of<'RemoveFromChat'>>('RemoveFromChat').implement({
  description: 'To every remaining member and to the one removed, for whom it is the last event of that chat.',
  fields: (t) => ({
    chatId: t.id({ resolve: ({ chatId }) => encodeId('Chat', chatId) }),
    userId: t.id({ resolve: ({ userId }) => encodeId('User', userId) }),
    user: t.field({
      type: UserRef,
      nullable: true,
      resolve: ({ userId }, _, { loaders }): Promise<User | null> => loaders.user.load(userId),
    }),
  }),
});

const ChatUpdated = builder.objectRef<Of<'ChatUpdated'>>('ChatUpdated').implement({
  fields: (t) => ({ chat: t.field({ type: ChatRef, resolve: ({ chat }) => chat }) }),
});

const ChatDeleted = builder.objectRef<Of<'ChatDeleted'>>('ChatDeleted').implement({
  fields: (t) => ({ chatId: t.id({ resolve: ({ chatId }) => encodeId('Chat', chatId) }) }),
});

const NewMessage = builder.objectRef<Of<'NewMessage'>>('NewMessage').implement({
  fields: (t) => ({ message: t.field({ type: MessageRef, resolve: ({ message }) => message }) }),
});

const MessageEdited = builder.objectRef<Of<'MessageEdited'>>('MessageEdited').implement({
  fields: (t) => ({ message: t.field({ type: MessageRef, resolve: ({ message }) => message }) }),
});

const MessageDeleted = builder.objectRef<Of<'MessageDeleted'>>('MessageDeleted').implement({
  fields: (t) => ({ message: t.field({ type: MessageRef, resolve: ({ message }) => message }) }),
});

const MemberUpdated = builder.objectRef<Of<'MemberUpdated'>>('MemberUpdated').implement({
  description: 'A role or another public property of a membership changed.',
  fields: (t) => ({ member: t.field({ type: MemberRef, resolve: ({ member }) => member }) }),
});

const ReadMarkerMoved = builder.objectRef<Of<'ReadMarkerMoved'>>('ReadMarkerMoved').implement({
  description: `To the member's own devices. It doesn't come for a message of one's own, which moves the marker to itself:
apply that to NewMessage.`,
  fields: (t) => ({ member: t.field({ type: MemberRef, resolve: ({ member }) => member }) }),
});

const NotificationLevelChanged = builder
  .objectRef<Of<'NotificationLevelChanged'>>('NotificationLevelChanged')
  .implement({
    description: "To the member's own devices.",
    fields: (t) => ({ member: t.field({ type: MemberRef, resolve: ({ member }) => member }) }),
  });

const ReactionsChanged = builder.objectRef<Of<'ReactionsChanged'>>('ReactionsChanged').implement({
  description: 'One reaction added or removed, with what a client needs to apply it for any viewer.',
  fields: (t) => ({
    message: t.field({ type: MessageRef, resolve: ({ message }) => message }),
    emoji: t.exposeString('emoji'),
    count: t.int({
      description: 'Of this emoji, now.',
      resolve: async ({ message, emoji }, _, { loaders }) => {
        const reactions = await loaders.reactions.load(message);
        return reactions.find((reaction) => reaction.emoji === emoji)?.count ?? 0;
      },
    }),
    userId: t.id({ resolve: ({ userId }) => encodeId('User', userId) }),
    added: t.exposeBoolean('added'),
  }),
});

const PinsChanged = builder.objectRef<Of<'PinsChanged'>>('PinsChanged').implement({
  description: 'A message was pinned to its chat, or is pinned no more. A deleted one is pinned no more without it.',
  fields: (t) => ({
    message: t.field({ type: MessageRef, resolve: ({ message }) => message }),
    pinned: t.exposeBoolean('pinned'),
  }),
});

const UserUpdated = builder.objectRef<Of<'UserUpdated'>>('UserUpdated').implement({
  description: 'Somebody who shares a chat with the viewer changed their profile, or the viewer did.',
  fields: (t) => ({ user: t.field({ type: UserRef, resolve: ({ user }) => user }) }),
});

const Typing = builder.objectRef<Of<'Typing'>>('Typing').implement({
  description:
    'Not stored, never replayed; its envelope repeats the last cursor of this stream. Show it for 5 seconds: it comes again, at most every 3, while typing goes on.',
  fields: (t) => ({
    chatId: t.id({ resolve: ({ chatId }) => encodeId('Chat', chatId) }),
    userId: t.id({ resolve: ({ userId }) => encodeId('User', userId) }),
    user: t.field({
      type: UserRef,
      nullable: true,
      resolve: ({ userId }, _, { loaders }): Promise<User | null> => loaders.user.load(userId),
    }),
  }),
});

const PresenceChanged = builder.objectRef<Of<'PresenceChanged'>>('PresenceChanged').implement({
  description: `Somebody who shares a chat with the viewer came, looked away or went, or the viewer did. Only for subscriptions that ask for
it (\`... on PresenceChanged\`), and not through chats of which more than ${maxPresenceAudience} people are here, nor to very many people: there,
ask for \`User.presence\`. Not stored, never replayed; its envelope repeats the last cursor of this stream. Ask for the
presences that you show after each CaughtUp, for what passed before it you may not have been told.`,
  fields: (t) => ({
    userId: t.id({ resolve: ({ userId }) => encodeId('User', userId) }),
    user: t.field({
      type: UserRef,
      nullable: true,
      resolve: ({ userId }, _, { loaders }): Promise<User | null> => loaders.user.load(userId),
    }),
    presence: t.field({ type: PresenceRef, resolve: ({ presence }) => presence }),
  }),
});

const CaughtUp = builder.objectRef<Of<'CaughtUp'>>('CaughtUp').implement({
  description:
    "What follows is live. Sent again now and then while nothing happens, so that a quiet client's cursor stays fresh.",
  fields: (t) => ({ replayed: t.exposeInt('replayed') }),
});

const Reset = builder.objectRef<Of<'Reset'>>('Reset').implement({
  description:
    "The replay is not possible (the cursor is too old, or from another database): refetch, then go on from this envelope's cursor.",
  fields: (t) => ({ reason: t.exposeString('reason') }),
});

const EventRef = builder.unionType('Event', {
  description: 'Ignore members that you do not know: more will come.',
  types: [
    NewChat,
    AddToChat,
    RemoveFromChat,
    ChatUpdated,
    ChatDeleted,
    NewMessage,
    MessageEdited,
    MessageDeleted,
    ReactionsChanged,
    PinsChanged,
    MemberUpdated,
    ReadMarkerMoved,
    NotificationLevelChanged,
    UserUpdated,
    Typing,
    PresenceChanged,
    CaughtUp,
    Reset,
  ],
  resolveType: ({ kind }) => kind,
});

/** What a subscription sends. */
export const EnvelopeRef = builder.objectRef<Envelope>('EventEnvelope').implement({
  fields: (t) => ({
    cursor: t.exposeString('cursor'),
    at: t.expose('at', { type: 'DateTime' }),
    event: t.field({ type: EventRef, resolve: ({ event }) => event }),
  }),
});

function isRow(row: Member | Error | null): row is Member {
  return row !== null && !(row instanceof Error);
}
