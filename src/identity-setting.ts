import { parseIssuers } from './account/issuer.ts';
import { parseRanges } from './core/address-range.ts';
import { parsedBy, trueOrFalse, type Setting } from './setting.ts';

const issuers = parsedBy(parseIssuers).describe(
  'a JSON list of issuers, as described in docs/identity.md, or the path of a file with such a list',
);

const ranges = parsedBy(parseRanges).describe('IP addresses and ranges separated by commas, e.g. 10.0.0.0/8');

/** The settings that determine who the users are, and the destinations to which the server itself may send requests. */
export const identitySettings = {
  authIssuers: {
    name: 'AUTH_ISSUERS',
    default: null,
    wants: issuers,
    meaning:
      'Other systems whose users can use this server with the tokens that those systems issue. See [identity](identity.md).',
    isSecret: true,
  },
  hasPasswords: {
    name: 'PASSWORDS',
    default: 'true',
    wants: trueOrFalse,
    meaning:
      'With `false`, there are no sign-ups and no passwords, and users sign in only with tokens from AUTH_ISSUERS.',
  },
  egressAllow: {
    name: 'EGRESS_ALLOW',
    default: null,
    wants: ranges,
    meaning:
      'The local addresses to which the server may send requests for the keys of AUTH_ISSUERS and the pictures of their users. All other addresses must be public.',
  },
  webhookAllowPrivate: {
    name: 'WEBHOOK_ALLOW_PRIVATE',
    default: 'false',
    wants: trueOrFalse,
    meaning:
      'With `true`, webhooks may send to private and link-local addresses and to this machine, and may use http: for those addresses. See [webhooks](webhooks.md).',
  },
} satisfies Record<string, Setting>;
