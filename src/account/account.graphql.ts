import { ViewerRef } from './viewer.ref.ts';
import { changePassword, signIn } from './account.ts';
import { maxEmailLength } from './email.ts';
import { signUp } from './sign-up.ts';
import { maxPasswordLength, minPasswordLength } from './password.ts';
import { proofDescription } from './proof.ts';
import { refreshSession, type SignedIn } from './session.ts';
import { signInWithToken } from './token-sign-in.ts';
import { maxNameLength } from '../core/text.ts';
import { Conflict, Forbidden, InvalidCredentials, InvalidInput } from '../errors.ts';
import { builder } from '../api/builder.ts';
import { asciiSize } from '../api/field-size.ts';
import { requireAsker, type Context } from '../api/context.ts';

const SignedInRef = builder.objectRef<SignedIn>('SignedIn').implement({
  fields: (t) => ({
    accessToken: t.exposeString('accessToken', {
      extensions: asciiSize(2_048),
      description: 'JWT for `Authorization: Bearer`, short-lived.',
    }),
    accessTokenExpiresAt: t.expose('accessTokenExpiresAt', { type: 'DateTime' }),
    refreshToken: t.exposeString('refreshToken', {
      extensions: asciiSize(256),
      description: 'Opaque and valid for one use: refreshSession returns the next one.',
    }),
    viewer: t.field({ type: ViewerRef, resolve: ({ asker }) => ({ asker }) }),
  }),
});

const SignUpInput = builder.inputType('SignUpInput', {
  fields: (t) => ({
    username: t.string({
      required: true,
      description:
        `Unique without regard to case. Up to ${maxNameLength} letters (a to z), digits, \`_\`, \`.\` and \`-\`, ` +
        'neither starting nor ending with `.` or `-`. `everyone`, `here`, `channel`, `admin`, `system`, `parley` and ' +
        'names that begin with `erased_` are reserved.',
    }),
    email: t.string({
      required: true,
      description: `Unique without regard to case. Up to ${maxEmailLength} characters.`,
    }),
    password: t.string({
      required: true,
      description: `${minPasswordLength} to ${maxPasswordLength} characters, and not easy to guess.`,
    }),
    displayName: t.string({ description: `One line of up to ${maxNameLength} characters.` }),
  }),
});

const SignInInput = builder.inputType('SignInInput', {
  fields: (t) => ({ email: t.string({ required: true }), password: t.string({ required: true }) }),
});

const ChangePasswordInput = builder.inputType('ChangePasswordInput', {
  fields: (t) => ({
    currentPassword: t.string({ description: proofDescription }),
    newPassword: t.string({
      required: true,
      description: `${minPasswordLength} to ${maxPasswordLength} characters, and not easy to guess.`,
    }),
  }),
});

builder.mutationFields((t) => ({
  signUp: t.field({
    type: SignedInRef,
    errors: { types: [InvalidInput, Conflict, Forbidden] },
    args: { input: t.arg({ type: SignUpInput, required: true }) },
    resolve: async (_, { input }, context) =>
      continueAs(
        context,
        await signUp(context.accounts, {
          ...input,
          displayName: input.displayName ?? null,
          userAgent: context.userAgent,
          address: context.address,
        }),
      ),
  }),
  signIn: t.field({
    type: SignedInRef,
    errors: { types: [InvalidInput, InvalidCredentials, Forbidden] },
    args: { input: t.arg({ type: SignInInput, required: true }) },
    resolve: async (_, { input }, context) =>
      continueAs(
        context,
        await signIn(context.accounts, { ...input, userAgent: context.userAgent, address: context.address }),
      ),
  }),
  signInWithToken: t.field({
    type: SignedInRef,
    description: `Exchanges a token of another system, one of the issuers in AUTH_ISSUERS, for a session. The token itself is also accepted
as \`Authorization: Bearer\`; the session then lives as long as the tokens that you send.`,
    errors: { types: [InvalidCredentials, Forbidden] },
    args: { token: t.arg.string({ required: true }) },
    resolve: async (_, { token }, context) =>
      continueAs(
        context,
        await signInWithToken(context.accounts, { token, userAgent: context.userAgent, address: context.address }),
      ),
  }),
  refreshSession: t.field({
    type: SignedInRef,
    description: `Needs no access token, and ignores an expired one. Sending a refresh token again within 20 seconds returns the same new
token, so you can repeat a request whose response was lost. Sending a used token later than that ends the session.`,
    errors: { types: [InvalidCredentials] },
    args: { refreshToken: t.arg.string({ required: true }) },
    resolve: async (_, { refreshToken }, context) =>
      continueAs(context, await refreshSession(context.accounts, refreshToken)),
  }),
  changePassword: t.field({
    type: SignedInRef,
    description: `Ends all other sessions of the viewer, and returns a new pair of tokens for this one. Gives an account without a password
its first one.`,
    errors: { types: [InvalidInput, InvalidCredentials, Forbidden] },
    args: { input: t.arg({ type: ChangePasswordInput, required: true }) },
    resolve: async (_, { input }, context) =>
      continueAs(
        context,
        await changePassword(context.accounts, requireAsker(context), {
          currentPassword: input.currentPassword ?? null,
          newPassword: input.newPassword,
        }),
      ),
  }),
}));

/**
 * Makes the user who has just signed in the asker of the rest of the operation: the fields under `SignedIn.viewer` take
 * the asker from the context. Mutations run one after the other, each with everything that is selected under it.
 */
function continueAs(context: Context, signedIn: SignedIn): SignedIn {
  context.asker = () => signedIn.asker;
  return signedIn;
}
