import { requestPasswordReset, resetPassword } from './password-reset.ts';
import { maxPasswordLength, minPasswordLength } from './password.ts';
import { SignedInRef } from './signed-in.ref.ts';
import { builder } from '../api/builder.ts';
import { continueAs } from '../api/context.ts';
import { Forbidden, InvalidCredentials, InvalidInput } from '../errors.ts';

builder.mutationFields((t) => ({
  requestPasswordReset: t.boolean({
    description: `If the address has an account, sends an email to it with a code for resetPassword. Always true, so that no one learns
which addresses have accounts. FORBIDDEN where the server sends no mail.`,
    args: { email: t.arg.string({ required: true }) },
    resolve: async (_, { email }, context) => {
      await requestPasswordReset(context.accounts, { email, address: context.address });
      return true;
    },
  }),
  resetPassword: t.field({
    type: SignedInRef,
    description: `Takes the code from an email and sets a new password. Ends every session of the account, starts a new one, and verifies the
address. A code works once, within an hour.`,
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
