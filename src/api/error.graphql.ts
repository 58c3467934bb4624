import {
  Conflict,
  Forbidden,
  InvalidCredentials,
  InvalidInput,
  LastOwner,
  NotFound,
  type ExpectedError,
  maxFieldErrors,
  type fieldErrorCodes,
} from '../errors.ts';
import { maxDescriptionLength } from '../core/text.ts';
import { builder } from './builder.ts';
import { asciiSize, textSize } from './field-size.ts';

/** The message of InvalidInput is the longest, because it lists the fields. */
const messageSize = asciiSize(maxFieldErrors * 200);

const ErrorCodeRef = builder.enumType('ErrorCode', {
  values: ['INVALID_INPUT', 'INVALID_CREDENTIALS', 'NOT_FOUND', 'FORBIDDEN', 'CONFLICT', 'LAST_OWNER'] as const,
});

const ErrorRef = builder.interfaceRef<ExpectedError>('Error').implement({
  description:
    'An expected failure. If the request itself is refused (missing token, rate limit, bad syntax), the response has a top-level error with extensions.code instead.',
  fields: (t) => ({
    code: t.expose('code', { type: ErrorCodeRef }),
    message: t.exposeString('message', { extensions: messageSize }),
  }),
});

const FieldErrorCodeRef = builder.enumType('FieldErrorCode', {
  values: {
    REQUIRED: { description: 'The field is missing or empty.' },
    TOO_SHORT: {},
    TOO_LONG: {},
    TOO_MANY: {
      description: 'The list has too many entries, or there are already as many such objects as the limit allows.',
    },
    MALFORMED: {
      description:
        'The value cannot be read, because it has the wrong format, is an invalid id or cursor, or is a broken file.',
    },
    NOT_ALLOWED: { description: 'The value can be read, but is not allowed here.' },
    NOT_FOUND: { description: 'The value refers to something that does not exist or that the viewer cannot see.' },
    DUPLICATE: {
      description: 'The value occurs twice, or the two people already have a single chat with a different key.',
    },
  } satisfies Record<(typeof fieldErrorCodes)[number], object>,
});

const FieldErrorRef = builder.objectRef<InvalidInput['fields'][number]>('FieldError').implement({
  fields: (t) => ({
    path: t.exposeStringList('path', {
      description: 'The path to the field within the input, e.g. ["email"].',
      complexity: { field: 1, multiplier: 4 },
      extensions: asciiSize(64),
    }),
    code: t.expose('code', {
      type: FieldErrorCodeRef,
      description: 'A machine-readable code for the problem that `message` describes in English.',
    }),
    message: t.exposeString('message', { extensions: asciiSize(500) }),
  }),
});

builder.objectType(InvalidInput, {
  name: 'InvalidInput',
  interfaces: [ErrorRef],
  fields: (t) => ({
    fields: t.expose('fields', {
      type: [FieldErrorRef],
      description: `One entry for each invalid input field, with at most ${maxFieldErrors} entries.`,
      complexity: { field: 1, multiplier: maxFieldErrors },
    }),
  }),
});
builder.objectType(InvalidCredentials, { name: 'InvalidCredentials', interfaces: [ErrorRef] });
builder.objectType(NotFound, {
  name: 'NotFound',
  description: 'Also returned for things that exist but that the viewer cannot see.',
  interfaces: [ErrorRef],
});
builder.objectType(Forbidden, {
  name: 'Forbidden',
  interfaces: [ErrorRef],
  fields: (t) => ({
    until: t.expose('until', {
      type: 'DateTime',
      nullable: true,
      description: 'When the restriction ends, if it is temporary (a suspension, a ban or a mute).',
    }),
    reason: t.exposeString('reason', {
      nullable: true,
      extensions: textSize(maxDescriptionLength),
      description: 'The reason that was given for the suspension or the ban.',
    }),
  }),
});
builder.objectType(Conflict, {
  name: 'Conflict',
  interfaces: [ErrorRef],
  fields: (t) => ({
    fields: t.exposeStringList('fields', {
      complexity: { field: 1, multiplier: 4 },
      extensions: asciiSize(64),
      description:
        'The input fields whose values are already taken, e.g. ["username"]. If you also select `InvalidInput.fields`, use an alias: `taken: fields`.',
    }),
  }),
});
builder.objectType(LastOwner, { name: 'LastOwner', interfaces: [ErrorRef] });
