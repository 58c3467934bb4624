import { UserConnectionRef, UserRef } from './user.ref.ts';
import { defineEvent } from '../api/event.ts';
import { encodeNameCursor, readNamePage } from '../postgres/name-page.ts';
import { maxCustomBytes } from '../core/custom.ts';
import { maxExternalKeyLength } from '../core/external-key.ts';
import { maxNameLength } from '../core/text.ts';
import { findUserByName, updateProfile, userById } from './user.ts';
import { searchUsers } from './user-search.ts';
import { InvalidInput } from '../errors.ts';
import { searchCost } from '../search/search-turn.ts';
import { builder } from '../api/builder.ts';
import { asciiSize, textSize } from '../api/field-size.ts';
import { fromEdges, pageComplexity } from '../api/connection.ts';
import { requireAsker } from '../api/context.ts';
import { registerNode } from '../api/node.ts';

const foundUsers = 'users';

const UserKindRef = builder.enumType('UserKind', {
  values: { HUMAN: {}, BOT: { description: 'A program with the API key of the bot acts as the bot.' } },
});

builder.prismaObjectFields(UserRef, (t) => ({
  kind: t.expose('kind', { type: UserKindRef }),
  username: t.exposeString('username', { extensions: asciiSize(maxNameLength) }),
  displayName: t.exposeString('displayName', { nullable: true, extensions: textSize(maxNameLength) }),
  createdAt: t.expose('createdAt', { type: 'DateTime' }),
  key: t.exposeString('key', {
    nullable: true,
    extensions: asciiSize(maxExternalKeyLength),
    description: 'The key that the embedding product uses for the user, visible to everyone who can see the user.',
  }),
  custom: t.expose('custom', {
    type: 'JSON',
    extensions: asciiSize(maxCustomBytes),
    description:
      'An object that only API keys and the tokens of other systems can change, visible to everyone who can see the user.',
  }),
}));

registerNode('User', async ({ loaders }, keys) => {
  const users = await Promise.all(keys.map((key) => loaders.of(userById).load(BigInt(key))));
  return new Map(users.flatMap((user) => (user === null ? [] : [[String(user.id), user]])));
});

builder.queryField('user', (t) =>
  t.field({
    type: UserRef,
    nullable: true,
    description: 'Finds a user by exact username, ignoring case; null if there is no such user.',
    args: { username: t.arg.string({ required: true }) },
    resolve: (_, { username }, context) => {
      requireAsker(context);
      return findUserByName(context.db, username);
    },
  }),
);

builder.queryField('users', (t) =>
  t.field({
    type: UserConnectionRef,
    description:
      'Finds users by username and display name: each word of `search`, such as `ada` or `@ada`, must be the beginning of a word in one of these names. Users who share a chat of at most 1,000 members with the viewer come first, followed by users whose names contain the complete words; within each group, users are ordered by username. An empty search finds no one.',
    args: { search: t.arg.string({ required: true }), first: t.arg.int(), after: t.arg.string() },
    complexity: (args) => ({ ...pageComplexity(args), field: searchCost }),
    resolve: async (_, { search, ...args }, context) => {
      const asker = requireAsker(context);
      const page = await searchUsers(context.searches, asker, { search, page: readNamePage(args, foundUsers) });
      return fromEdges(
        page,
        page.rows.map(({ user, key }) => ({ cursor: encodeNameCursor(foundUsers, key), node: user })),
      );
    },
  }),
);

const UpdateProfileInput = builder.inputType('UpdateProfileInput', {
  description: 'Omitted fields are not changed.',
  fields: (t) => ({
    displayName: t.string({ description: `One line of up to ${maxNameLength} characters; null removes it.` }),
  }),
});

builder.mutationField('updateProfile', (t) =>
  t.field({
    type: UserRef,
    description: 'Everyone who shares a chat with the viewer receives UserUpdated.',
    errors: { types: [InvalidInput] },
    args: { input: t.arg({ type: UpdateProfileInput, required: true }) },
    resolve: (_, { input }, context) =>
      updateProfile(context.accounts, requireAsker(context), { displayName: input.displayName }),
  }),
);

defineEvent('UserUpdated', {
  description: 'The profile of the viewer or of a user who shares a chat with the viewer has changed.',
  load: async ({ userId }, loaders) => {
    const user = userId === null ? null : await loaders.of(userById).load(userId);
    return user && { user };
  },
  fields: (t) => ({
    user: t.field({
      type: UserRef,
      nullable: true,
      description:
        'Has the same type as `user` in every other event, so that one selection covers all of them. Never null here.',
      resolve: ({ user }) => user,
    }),
  }),
});
