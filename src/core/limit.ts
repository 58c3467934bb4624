/** How many are allowed within a window, which starts with the first. */
export type Quota = { count: number; windowSeconds: number };

/**
 * One limit: its setting and default quota, whether all nodes count together (in PostgreSQL) or each on its own (in
 * memory), the error message for the client, and what the limit counts.
 */
type LimitRule = { setting: string; quota: string; isShared: boolean; message: string; meaning: string };

/** Every rate limit. docs/configuration.md has the same table. */
export const limitRules = {
  guesses: {
    setting: 'RATE_LIMIT_GUESSES',
    quota: '10/15m',
    isShared: true,
    message: 'Too many wrong passwords for this account.',
    meaning: 'Wrong passwords for one account from one network address; for `changePassword`, of one session.',
  },
  strangersGuesses: {
    setting: 'RATE_LIMIT_STRANGERS_GUESSES',
    quota: '50/15m',
    isShared: true,
    message: 'Too many tries at this account.',
    meaning: 'Sign-ins to one account from networks it does not know. Past it, each takes 3 s longer; none is refused.',
  },
  failedSignIns: {
    setting: 'RATE_LIMIT_FAILED_SIGN_INS',
    quota: '100/15m',
    isShared: true,
    message: 'Too many failed sign-ins from this network.',
    meaning: 'Sign-ins from one network address that fail, whatever the account.',
  },
  signUps: {
    setting: 'RATE_LIMIT_SIGN_UPS',
    quota: '60/15m',
    isShared: true,
    message: 'Too many accounts are being made from this network.',
    meaning: 'Sign-ups from one network address.',
  },
  takenNames: {
    setting: 'RATE_LIMIT_TAKEN_NAMES',
    quota: '5/15m',
    isShared: true,
    message: 'Too many names or addresses from this network were taken.',
    meaning: 'Sign-ups from one network address that are answered with Conflict, which says who has an account.',
  },
  refreshes: {
    setting: 'RATE_LIMIT_REFRESHES',
    quota: '60/15m',
    isShared: false,
    message: 'This session is being refreshed too often.',
    meaning: 'refreshSession, of one session.',
  },
  sends: {
    setting: 'RATE_LIMIT_SENDS',
    quota: '60/10s',
    isShared: false,
    message: 'You send too fast.',
    meaning: 'Messages that one account sends, edits or deletes.',
  },
  reactions: {
    setting: 'RATE_LIMIT_REACTIONS',
    quota: '60/10s',
    isShared: false,
    message: 'You react too fast.',
    meaning: 'Reactions that one account adds or removes.',
  },
  readMarkers: {
    setting: 'RATE_LIMIT_READ_MARKERS',
    quota: '120/10s',
    isShared: false,
    message: 'You mark too many chats as read.',
    meaning: 'markRead, of one account.',
  },
  typing: {
    setting: 'RATE_LIMIT_TYPING',
    quota: '30/10s',
    isShared: false,
    message: 'This device says too often that you are typing.',
    meaning: 'startTyping, of one session.',
  },
  presence: {
    setting: 'RATE_LIMIT_PRESENCE',
    quota: '60/1m',
    isShared: false,
    message: 'This device changes its presence too often.',
    meaning: 'setPresence, of one session.',
  },
  newChats: {
    setting: 'RATE_LIMIT_NEW_CHATS',
    quota: '60/10m',
    isShared: false,
    message: 'You create too many chats.',
    meaning: 'Chats that one account creates.',
  },
  newMembers: {
    setting: 'RATE_LIMIT_NEW_MEMBERS',
    quota: '2000/10m',
    isShared: false,
    message: 'You add too many people.',
    meaning: 'Members that one account adds to chats, including those of a new chat.',
  },
  profile: {
    setting: 'RATE_LIMIT_PROFILE',
    quota: '20/1m',
    isShared: false,
    message: 'You are changing your profile too often.',
    meaning: 'Changes to one account’s profile.',
  },
  changes: {
    setting: 'RATE_LIMIT_CHANGES',
    quota: '30/10s',
    isShared: false,
    message: 'You change too much at a time.',
    meaning: 'Every other mutation of one account.',
  },
  searches: {
    setting: 'RATE_LIMIT_SEARCHES',
    quota: '30/10s',
    isShared: false,
    message: 'You search too fast.',
    meaning: 'Searches by one account, for messages and for people.',
  },
  uploads: {
    setting: 'RATE_LIMIT_UPLOADS',
    quota: '120/1m',
    isShared: false,
    message: 'You upload too many files.',
    meaning: 'Uploads that one account begins.',
  },
} as const satisfies Record<string, LimitRule>;

/** A limit by its name in the code. */
export type LimitName = keyof typeof limitRules;

/** All quotas; null if limits are off. */
export type Quotas = Record<LimitName, Quota> | null;

/** Returns the quotas that the settings define. */
export function readQuotas(settings: Record<LimitName, Quota> & { rateLimits: 'on' | 'off' }): Quotas {
  return settings.rateLimits === 'off' ? null : settings;
}
