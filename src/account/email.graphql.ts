import { changeEmail } from './email-change.ts';
import { requestEmailVerification, verifyEmail } from './email-verification.ts';
import { maxEmailLength } from './email.ts';
import { proofDescription } from './proof.ts';
import { ViewerRef } from './viewer.ref.ts';
import { builder } from '../api/builder.ts';
import { requireAsker } from '../api/context.ts';
import { defineFeature } from '../api/feature.ts';
import { textSize } from '../api/field-size.ts';
import { Forbidden, InvalidCredentials, InvalidInput } from '../errors.ts';

defineFeature('MAIL', ({ accounts }) => accounts.mail !== null);

const EmailVerified = builder.objectRef<{ email: string }>('EmailVerified').implement({
  fields: (t) => ({ email: t.exposeString('email', { extensions: textSize(maxEmailLength) }) }),
});

const ChangeEmailInput = builder.inputType('ChangeEmailInput', {
  fields: (t) => ({
    email: t.string({ required: true, description: `The new address. Up to ${maxEmailLength} characters.` }),
    currentPassword: t.string({ description: proofDescription }),
  }),
});

builder.mutationFields((t) => ({
  requestEmailVerification: t.boolean({
    description: `Sends an email with a code for verifyEmail to the viewer's address. Returns false and sends nothing if the address is already verified or the account has no address. FORBIDDEN if the server sends no mail.`,
    resolve: (_, __, context) => requestEmailVerification(context.accounts, requireAsker(context)),
  }),
  verifyEmail: t.field({
    type: EmailVerified,
    description: `Uses the code from an email to verify the address, complete a sign-up or complete changeEmail. Needs no access token, and does not sign the user in. A code works once and is valid for an hour.`,
    errors: { types: [InvalidCredentials] },
    args: { token: t.arg.string({ required: true }) },
    resolve: (_, { token }, context) => verifyEmail(context.accounts, { code: token, address: context.address }),
  }),
  changeEmail: t.field({
    type: ViewerRef,
    description: `Sends an email with a code to the new address, and a notice to the current address. The address changes when verifyEmail receives the code.`,
    errors: { types: [InvalidInput, InvalidCredentials, Forbidden] },
    args: { input: t.arg({ type: ChangeEmailInput, required: true }) },
    resolve: async (_, { input: { email, currentPassword } }, context) => {
      const asker = requireAsker(context);
      await changeEmail(context.accounts, asker, { email, currentPassword: currentPassword ?? null });
      return { asker };
    },
  }),
}));
