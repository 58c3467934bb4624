import { parseIssuers } from './account/issuer.ts';
import { parseRanges } from './core/address-range.ts';
import { parsedBy, trueOrFalse, type Setting } from './setting.ts';

const issuers = parsedBy(parseIssuers).describe(
  'a JSON list of issuers, as described in docs/identity.md, or the path of a file with such a list',
);

const ranges = parsedBy(parseRanges).describe('IP addresses and ranges separated by commas, e.g. 10.0.0.0/8');

/** The settings that determine who the users are, and where the server may send requests of its own. */
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
    meaning: '`false`: no sign-ups and no passwords; users sign in only with tokens from AUTH_ISSUERS.',
  },
  egressAllow: {
    name: 'EGRESS_ALLOW',
    default: null,
    wants: ranges,
    meaning:
      'Local addresses to which requests for the keys of AUTH_ISSUERS and the pictures of their users may go. All others must be public.',
  },
  webhookAllowPrivate: {
    name: 'WEBHOOK_ALLOW_PRIVATE',
    default: 'false',
    wants: trueOrFalse,
    meaning:
      '`true`: webhooks may send to private and link-local addresses and to this machine, where http: is allowed too. See [webhooks](webhooks.md).',
  },
} satisfies Record<string, Setting>;
