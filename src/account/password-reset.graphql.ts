import { requestPasswordReset, resetPassword } from './password-reset.ts';
import { maxPasswordLength, minPasswordLength } from './password.ts';
import { SignedInRef } from './signed-in.ref.ts';
import { builder } from '../api/builder.ts';
import { continueAs } from '../api/context.ts';
import { Forbidden, InvalidCredentials, InvalidInput } from '../errors.ts';

builder.mutationFields((t) => ({
  requestPasswordReset: t.boolean({
    description: `If there is an account with this address, sends an email with a code for resetPassword to the address. Always returns true, so that no one can find out which addresses have accounts. FORBIDDEN if the server sends no mail.`,
    args: { email: t.arg.string({ required: true }) },
    resolve: async (_, { email }, context) => {
      await requestPasswordReset(context.accounts, { email, address: context.address });
      return true;
    },
  }),
  resetPassword: t.field({
    type: SignedInRef,
    description: `Sets a new password, using the code from an email. Ends all sessions of the account, starts a new one, and verifies the address. A code works once and is valid for an hour.`,
    errors: { types: [InvalidInput, InvalidCredentials, Forbidden] },
    args: {
      token: t.arg.string({ required: true }),
      newPassword: t.arg.string({
        required: true,
        description: `${minPasswordLength} to ${maxPasswordLength} characters, and not easy to guess.`,
      }),
    },
    resolve: async (_, { token, newPassword }, context) => {
      const { userAgent, address } = context;
      const signedIn = await resetPassword(context.accounts, { code: token, newPassword, userAgent, address });
      return continueAs(context, signedIn);
    },
  }),
}));
