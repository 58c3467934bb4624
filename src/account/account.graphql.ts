import { ViewerRef } from './viewer.ref.ts';
import { changePassword, signIn } from './account.ts';
import { maxEmailLength } from './email.ts';
import { signUp, type SignUpStarted } from './sign-up.ts';
import { SignedInRef } from './signed-in.ref.ts';
import { maxPasswordLength, minPasswordLength } from './password.ts';
import { proofDescription } from './proof.ts';
import { refreshSession, type SignedIn } from './session.ts';
import { signInWithToken } from './token-sign-in.ts';
import { maxNameLength } from '../core/text.ts';
import { Conflict, Forbidden, InvalidCredentials, InvalidInput } from '../errors.ts';
import { builder } from '../api/builder.ts';
import { continueAs, requireAsker, type Context } from '../api/context.ts';
import { defineFeature } from '../api/feature.ts';
import { asciiSize, textSize } from '../api/field-size.ts';

const takesSignUps = ({ accounts }: Pick<Context, 'accounts'>) =>
  accounts.hasPasswords && accounts.signUps.mode !== 'closed';
defineFeature('SIGN_UP', takesSignUps);
defineFeature('SIGN_UP_BY_INVITE', (services) => takesSignUps(services) && services.accounts.signUps.mode === 'invite');
defineFeature('SIGN_UP_CONFIRM', (services) => takesSignUps(services) && services.accounts.signUps.isConfirmed);

SignedInRef.implement({
  fields: (t) => ({
    accessToken: t.exposeString('accessToken', {
      extensions: asciiSize(2_048),
      description: 'JWT for `Authorization: Bearer`, short-lived.',
    }),
    accessTokenExpiresAt: t.expose('accessTokenExpiresAt', { type: 'DateTime' }),
    refreshToken: t.exposeString('refreshToken', {
      extensions: asciiSize(256),
      description: 'An opaque token that is valid for one use: refreshSession returns the next one.',
    }),
    viewer: t.field({ type: ViewerRef, resolve: ({ asker }) => ({ asker }) }),
  }),
});

const SignUpStartedRef = builder.objectRef<SignUpStarted>('SignUpStarted').implement({
  description: `The result of every sign-up if the server confirms sign-ups by email: an email is sent to the owner of the address. The account is created when verifyEmail receives the code from this email.`,
  fields: (t) => ({ email: t.exposeString('email', { extensions: textSize(maxEmailLength) }) }),
});

const SignUpResult = builder.errorUnion('SignUpResult', {
  types: [SignedInRef, SignUpStartedRef, InvalidInput, Conflict, Forbidden],
  resolveType: (result) => (isSignedIn(result) ? SignedInRef.name : SignUpStartedRef.name),
});

const SignUpInput = builder.inputType('SignUpInput', {
  fields: (t) => ({
    username: t.string({
      required: true,
      description:
        `Must be unique, ignoring case. Up to ${maxNameLength} letters (a to z), digits, \`_\`, \`.\` and \`-\`; ` +
        'must not start or end with `.` or `-`. `everyone`, `here`, `channel`, `admin`, `system`, `parley` and ' +
        'names that begin with `erased_` are reserved.',
    }),
    email: t.string({
      required: true,
      description: `Must be unique, ignoring case. Up to ${maxEmailLength} characters.`,
    }),
    password: t.string({
      required: true,
      description: `${minPasswordLength} to ${maxPasswordLength} characters, and not easy to guess.`,
    }),
    displayName: t.string({ description: `One line of up to ${maxNameLength} characters.` }),
    inviteCode: t.string({
      description:
        'An invite code; the sign-up counts as one use of the invite. Required if `api.features` lists `SIGN_UP_BY_INVITE`.',
    }),
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
    type: SignUpResult,
    description: `Forbidden if the server has no passwords or is closed to new users, if it requires an invite and you send none, or if the invite lets no one in.
If the server confirms sign-ups by email (\`SIGN_UP_CONFIRM\` in api.features), every valid sign-up returns SignUpStarted, whether or not the address has an account, and never Conflict:
if the username is taken when verifyEmail completes the sign-up, a number is added to it.`,
    args: { input: t.arg({ type: SignUpInput, required: true }) },
    resolve: async (_, { input }, context) => {
      const { userAgent, address } = context;
      const { displayName = null, inviteCode = null } = input;
      const result = await signUp(context.accounts, { ...input, displayName, inviteCode, userAgent, address });
      return isSignedIn(result) ? continueAs(context, result) : result;
    },
  }),
  signIn: t.field({
    type: SignedInRef,
    description:
      'If a suspended user enters the correct password, the result is Forbidden, which says until when the user is suspended and why.',
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
    description: `Exchanges a token from another system (an issuer in AUTH_ISSUERS) for a session. The token itself is also accepted
as \`Authorization: Bearer\`. In that case, the session lasts as long as the tokens that you send.`,
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
    description: `Needs no access token, and ignores an expired one. If you send a refresh token again within 20 seconds, you get the same new token, so you can repeat a request whose response was lost. If you send a used token later than that, the session ends.`,
    errors: { types: [InvalidCredentials] },
    args: { refreshToken: t.arg.string({ required: true }) },
    resolve: async (_, { refreshToken }, context) =>
      continueAs(context, await refreshSession(context.accounts, refreshToken)),
  }),
  changePassword: t.field({
    type: SignedInRef,
    description: `Ends all other sessions of the viewer, and returns a new pair of tokens for the current session. If the account has no password, sets its first one.`,
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

function isSignedIn(result: object): result is SignedIn {
  return 'accessToken' in result;
}
