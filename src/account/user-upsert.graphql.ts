import { builder } from '../api/builder.ts';
import { requireCaller, requireProgram } from '../api/context.ts';
import { maxCustomBytes, maxCustomDepth } from '../core/custom.ts';
import { maxExternalKeyLength } from '../core/external-key.ts';
import { maxNameLength } from '../core/text.ts';
import { Conflict, Forbidden, InvalidInput } from '../errors.ts';
import { findUserByKey } from '../people/user.ts';
import { UserRef } from '../people/user.ref.ts';
import { upsertUser } from './user-upsert.ts';

builder.queryField('userByKey', (t) =>
  t.field({
    type: UserRef,
    nullable: true,
    description: 'The user for which the embedding product uses this key. A server key needs the scope USERS_READ.',
    args: { key: t.arg.string({ required: true }) },
    resolve: (_, { key }, context) => {
      requireCaller(context);
      return findUserByKey(context.db, key);
    },
  }),
);

const UpsertUserInput = builder.inputType('UpsertUserInput', {
  description: 'Omitted fields are not changed; null removes a display name, an email address or custom data.',
  fields: (t) => ({
    key: t.string({
      required: true,
      description: `The key that you use for the user: 1 to ${maxExternalKeyLength} visible ASCII characters. Case matters.`,
    }),
    username: t.string({
      description: 'If omitted for a new user, the username is derived from the display name.',
    }),
    displayName: t.string({ description: `One line of up to ${maxNameLength} characters.` }),
    email: t.string({ description: 'The address counts as verified, because you vouch for it.' }),
    custom: t.field({
      type: 'JSON',
      description: `Replaces the whole object. At most ${maxCustomBytes} bytes and ${maxCustomDepth} levels deep.`,
    }),
  }),
});

builder.mutationField('upsertUser', (t) =>
  t.field({
    type: UserRef,
    description:
      'For API keys with the scope USERS_WRITE. Creates the user with this key, or updates them if they exist, so repeating the call does not create a second user. Conflict if another user has the username or the email address; Forbidden if the user is a moderator or an admin of the server.',
    errors: { types: [InvalidInput, Conflict, Forbidden] },
    args: { input: t.arg({ type: UpsertUserInput, required: true }) },
    resolve: (_, { input }, context) =>
      upsertUser(context.db, requireProgram(context, 'USERS_WRITE'), {
        key: input.key,
        username: input.username,
        displayName: input.displayName,
        email: input.email,
        custom: input.custom,
      }),
  }),
);
