import {
  Conflict,
  Forbidden,
  InvalidCredentials,
  InvalidInput,
  LastOwner,
  NotFound,
  type ExpectedError,
} from '../errors.ts';
import { builder } from './builder.ts';

const ErrorCodeRef = builder.enumType('ErrorCode', {
  values: ['INVALID_INPUT', 'INVALID_CREDENTIALS', 'NOT_FOUND', 'FORBIDDEN', 'CONFLICT', 'LAST_OWNER'] as const,
});

const ErrorRef = builder.interfaceRef<ExpectedError>('Error').implement({
  description:
    'An expected failure. Broken requests (no token, rate limit, bad syntax) are top-level errors instead, with extensions.code.',
  fields: (t) => ({
    code: t.expose('code', { type: ErrorCodeRef }),
    message: t.exposeString('message'),
  }),
});

const FieldErrorRef = builder.objectRef<InvalidInput['fields'][number]>('FieldError').implement({
  fields: (t) => ({
    path: t.exposeStringList('path', { description: 'Path within the input, e.g. ["email"].' }),
    message: t.exposeString('message'),
  }),
});

builder.objectType(InvalidInput, {
  name: 'InvalidInput',
  interfaces: [ErrorRef],
  fields: (t) => ({
    fields: t.expose('fields', {
      type: [FieldErrorRef],
      description: 'One entry for every input field that was refused.',
    }),
  }),
});
builder.objectType(InvalidCredentials, { name: 'InvalidCredentials', interfaces: [ErrorRef] });
builder.objectType(NotFound, {
  name: 'NotFound',
  description: 'Also what a viewer gets for a thing that exists and is hidden from them.',
  interfaces: [ErrorRef],
});
builder.objectType(Forbidden, { name: 'Forbidden', interfaces: [ErrorRef] });
builder.objectType(Conflict, { name: 'Conflict', interfaces: [ErrorRef] });
builder.objectType(LastOwner, { name: 'LastOwner', interfaces: [ErrorRef] });
