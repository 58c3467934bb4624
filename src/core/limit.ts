/** The number of uses allowed within a window, which starts with the first use. */
export type Quota = { count: number; windowSeconds: number };

/**
 * A limit: its setting and default quota, the error message for the client, and what the limit counts. If `isShared` is
 * true, all nodes count together in PostgreSQL when there is no Redis; if it is false, each node then counts separately
 * in memory.
 */
type LimitRule = { setting: string; quota: string; isShared: boolean; message: string; meaning: string };

/** An activity, to which three limits apply. Without Redis, each node counts separately in memory. */
type ActivityRule = {
  setting: string;
  quotas: { account: string; session: string; address: string };
  /** The error message without the period at its end. */
  complaint: string;
  activity: string;
};

/** Limits that have a single quota, e.g. on sign-ins, sign-ups, emails and session refreshes. */
const accountRules = {
  guesses: {
    setting: 'RATE_LIMIT_GUESSES',
    quota: '10/15m',
    isShared: true,
    message: 'Too many wrong passwords for this account.',
    meaning:
      'Wrong passwords for one account from one network address. For `changePassword`, `changeEmail`, `deleteAccount` and `/api/export`, the limit is per session.',
  },
  strangersGuesses: {
    setting: 'RATE_LIMIT_STRANGERS_GUESSES',
    quota: '50/15m',
    isShared: true,
    message: 'Too many attempts to sign in to this account.',
    meaning:
      'Attempts to sign in to one account from networks that are new to it. Past the limit, each attempt takes 3 s longer, but none is refused.',
  },
  failedSignIns: {
    setting: 'RATE_LIMIT_FAILED_SIGN_INS',
    quota: '100/15m',
    isShared: true,
    message: 'Too many failed sign-ins from this network.',
    meaning: 'Failed sign-ins from one network address, to any account.',
  },
  signUps: {
    setting: 'RATE_LIMIT_SIGN_UPS',
    quota: '60/15m',
    isShared: true,
    message: 'Too many accounts are being created from this network.',
    meaning: 'Sign-ups from one network address.',
  },
  takenNames: {
    setting: 'RATE_LIMIT_TAKEN_NAMES',
    quota: '5/15m',
    isShared: true,
    message: 'Too many sign-ups from this network used a name or an email address that is taken.',
    meaning:
      'Sign-ups from one network address that get Conflict, which reveals which names and email addresses are taken.',
  },
  failedLogouts: {
    setting: 'RATE_LIMIT_FAILED_LOGOUTS',
    quota: '60/15m',
    isShared: false,
    message: 'Too many logout tokens from this network were rejected.',
    meaning: 'Logout tokens from one network address that were refused (`POST /auth/logout`).',
  },
  unknownHooks: {
    setting: 'RATE_LIMIT_UNKNOWN_HOOKS',
    quota: '60/15m',
    isShared: false,
    message: 'Too many requests from this network named an incoming webhook that does not exist.',
    meaning: 'Requests from one network address to incoming webhooks that do not exist (`POST /api/hooks/…`).',
  },
  invitePreviews: {
    setting: 'RATE_LIMIT_INVITE_PREVIEWS',
    quota: '120/1m',
    isShared: false,
    message: 'Too many invites are being looked up from this network.',
    meaning: 'Previews of invites, per network address.',
  },
  exports: {
    setting: 'RATE_LIMIT_EXPORTS',
    quota: '1/1d',
    isShared: true,
    message: 'You have exported your data already.',
    meaning: 'Complete exports of the data of one account (`/api/export`).',
  },
  refreshes: {
    setting: 'RATE_LIMIT_REFRESHES',
    quota: '60/15m',
    isShared: false,
    message: 'This session is being refreshed too often.',
    meaning: 'refreshSession, per session.',
  },
  mails: {
    setting: 'RATE_LIMIT_MAILS',
    quota: '6/1h',
    isShared: true,
    message: 'Too many emails to this address.',
    meaning: 'Emails to one email address. Past the limit, the emails are not sent, but no request is refused.',
  },
  mailRequests: {
    setting: 'RATE_LIMIT_MAIL_REQUESTS',
    quota: '3/1h',
    isShared: true,
    message: 'Too many emails to this address were requested from this network.',
    meaning:
      'Emails to one email address that `signUp` and `requestPasswordReset` send for requests from one network address. Past the limit, requests are answered as usual, but no email is sent.',
  },
  ownMails: {
    setting: 'RATE_LIMIT_OWN_MAILS',
    quota: '5/1h',
    isShared: true,
    message: 'You are requesting too many emails.',
    meaning: '`requestEmailVerification` and `changeEmail`, per account.',
  },
  mailCodes: {
    setting: 'RATE_LIMIT_MAIL_CODES',
    quota: '60/15m',
    isShared: true,
    message: 'Too many requests of this kind from this network.',
    meaning: '`requestPasswordReset`, `resetPassword` and `verifyEmail`, per network address.',
  },
} as const satisfies Record<string, LimitRule>;

/**
 * The activities of signed-in users, each with a quota per account, per session and per network address. The quota per
 * session is usually lower than the quota per account, so that a runaway tab leaves some of it for the user's other
 * devices. The quota per network address is much higher, because a whole office may share one address.
 */
export const activityRules = {
  sends: {
    setting: 'RATE_LIMIT_SENDS',
    quotas: { account: '1000/10s', session: '800/10s', address: '20000/10s' },
    complaint: 'You are sending messages too fast',
    activity: 'Messages sent, edited or deleted, counting each 1,000 characters as another message',
  },
  reactions: {
    setting: 'RATE_LIMIT_REACTIONS',
    quotas: { account: '60/10s', session: '50/10s', address: '3000/10s' },
    complaint: 'You are reacting too fast',
    activity: 'Reactions added or removed',
  },
  readMarkers: {
    setting: 'RATE_LIMIT_READ_MARKERS',
    quotas: { account: '120/10s', session: '100/10s', address: '12000/10s' },
    complaint: 'You are marking chats as read too often',
    activity: 'markRead',
  },
  typing: {
    setting: 'RATE_LIMIT_TYPING',
    quotas: { account: '60/10s', session: '30/10s', address: '3000/10s' },
    complaint: 'You are sending typing notices too often',
    activity: 'startTyping',
  },
  presence: {
    setting: 'RATE_LIMIT_PRESENCE',
    quotas: { account: '120/1m', session: '60/1m', address: '6000/1m' },
    complaint: 'You are changing your presence too often',
    activity: 'setPresence',
  },
  newChats: {
    setting: 'RATE_LIMIT_NEW_CHATS',
    quotas: { account: '60/10m', session: '50/10m', address: '1000/10m' },
    complaint: 'You are creating too many chats',
    activity: 'Chats created',
  },
  newMembers: {
    setting: 'RATE_LIMIT_NEW_MEMBERS',
    quotas: { account: '2000/10m', session: '1500/10m', address: '20000/10m' },
    complaint: 'You are adding too many people',
    activity: 'Members added to chats, including those of a new chat',
  },
  profile: {
    setting: 'RATE_LIMIT_PROFILE',
    quotas: { account: '20/1m', session: '20/1m', address: '1000/1m' },
    complaint: 'You are changing your profile too often',
    activity: 'updateProfile and setAvatar',
  },
  changes: {
    setting: 'RATE_LIMIT_CHANGES',
    quotas: { account: '30/10s', session: '25/10s', address: '1500/10s' },
    complaint: 'You are making too many changes',
    activity: 'Every other mutation, and requests to `/api/import`',
  },
  searches: {
    setting: 'RATE_LIMIT_SEARCHES',
    quotas: { account: '30/10s', session: '25/10s', address: '1000/10s' },
    complaint: 'You are searching too often',
    activity: 'Searches for messages, people and channels, and uses of `admin`',
  },
  uploads: {
    setting: 'RATE_LIMIT_UPLOADS',
    quotas: { account: '120/1m', session: '100/1m', address: '3000/1m' },
    complaint: 'You are uploading too many files',
    activity: 'Uploads started',
  },
} as const satisfies Record<string, ActivityRule>;

/**
 * Something that signed-in users do, which is counted per session, per account and per address. It is counted per
 * session, per account and per address.
 */
export type Activity = keyof typeof activityRules;

/**
 * The name of a limit in the code: `sends` counts per account, while `sendsPerSession` and `sendsPerAddress` count the
 * same uses per session and per address.
 */
export type LimitName = keyof typeof accountRules | Activity | `${Activity}PerSession` | `${Activity}PerAddress`;

/** All rate limits. docs/configuration.md has the same table. */
export const limitRules = {
  ...accountRules,
  ...Object.fromEntries(Object.entries(activityRules).flatMap(([name, rule]) => rulesOf(name, rule))),
  // The cast is safe because the keys come from both tables.
} as Record<LimitName, LimitRule>;

function rulesOf(name: string, { setting, quotas, complaint, activity }: ActivityRule): [string, LimitRule][] {
  const isShared = false;
  const { account, session, address } = quotas;
  return [
    [name, { setting, quota: account, isShared, message: `${complaint}.`, meaning: `${activity}, per account.` }],
    [
      `${name}PerSession`,
      {
        setting: `${setting}_PER_SESSION`,
        quota: session,
        isShared,
        message: `${complaint} on this device.`,
        meaning: `${activity}, per session.`,
      },
    ],
    [
      `${name}PerAddress`,
      {
        setting: `${setting}_PER_ADDRESS`,
        quota: address,
        isShared,
        message: 'Your network or API key is sending too many requests of this kind.',
        meaning: `${activity}, per network address, or per API key that acts for no user.`,
      },
    ],
  ];
}

/** All quotas, or null if limits are off. */
export type Quotas = Record<LimitName, Quota> | null;

/** Returns the quotas that the settings define. */
export function readQuotas(settings: Record<LimitName, Quota> & { rateLimits: 'on' | 'off' }): Quotas {
  return settings.rateLimits === 'off' ? null : settings;
}
