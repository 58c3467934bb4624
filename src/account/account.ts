import { inTransaction, type Db, type Queryable, type Transaction } from '../postgres/client.ts';
import { setTimeout } from 'node:timers/promises';
import { Forbidden, InvalidCredentials, InvalidInput, Unauthenticated, type FieldError } from '../errors.ts';
import {
  findCredentialsByEmail,
  lockCredentials,
  PasswordChanged,
  requireOwnCredentials,
  storePassword,
  verifyGuess,
  type Credentials,
} from './credentials.ts';
import { readEmail } from './email.ts';
import { noteFailedSignIn, type Noting } from './failed-sign-in.ts';
import { describeDevice, rememberDevice } from './known-device.ts';
import { knowsNetwork, rememberNetwork } from './known-network.ts';
import { ForeignSessions } from './foreign-session.ts';
import type { ForeignTokens } from './foreign-token.ts';
import { LiveSessions } from './live-session.ts';
import type { AccountMail } from './mail.ts';
import { queueMail, withdrawMails } from '../mail/outbox.ts';
import { checkGivenPassword, checkNewPassword, namesOf, PasswordHasher, type Argon2Cost } from './password.ts';
import { checkGivenProof, requireProof } from './proof.ts';
import { FairQueue } from '../core/fair-queue.ts';
import type { Counted, RateLimits } from '../core/rate-limit.ts';
import { claimsKind, createSecret } from '../core/secret.ts';
import { actAsHeader, Programs } from './program.ts';
import { endSessions, handOver, openSession, type OpenedSession, type Sessions, type SignedIn } from './session.ts';
import { AccessTokens } from './token.ts';
import type { AccessTokenKeys } from './token-key.ts';
import type { Asker, Caller } from '../core/asker.ts';

/** The dependencies of the functions on accounts and sessions. */
export type Accounts = Sessions & {
  passwords: PasswordHasher;
  /** Whether users may sign up and sign in with passwords. */
  hasPasswords: boolean;
  /** Accepts the tokens of other systems. */
  foreign: ForeignSessions;
  /** Identifies programs by their API keys. */
  programs: Programs;
  /**
   * Queues the database reads that a sign-in makes before its password is compared, so that a flood of sign-ins from
   * one network uses only one connection.
   */
  doorway: FairQueue;
  /** Null if the server sends no mail. */
  mail: AccountMail | null;
  signUps: SignUpRules;
  /** Records failed sign-ins. */
  noting: Noting;
};

/** Who can sign up, and whether a sign-up becomes an account only when its address is confirmed by email. */
export type SignUpRules = { mode: 'open' | 'invite' | 'closed'; isConfirmed: boolean };

/** How long a sign-in from an unknown network is delayed if the account is under attack. */
const slowMs = 3_000;

/** The device that a user signs in from: its user agent, and its network address, to which rate limits apply. */
export type Device = { userAgent: string | null; address: string };

/** What a user sends to sign in. */
export type SignIn = Device & { email: string; password: string };

/**
 * Creates the dependencies that the functions on accounts and sessions share. `argon2` is the cost of a password hash.
 * Only tests set it; the default is the cost that OWASP recommends.
 */
export function createAccounts(
  options: {
    db: Db;
    keys: AccessTokenKeys;
    limits: RateLimits;
    mail: AccountMail | null;
    signUps: SignUpRules;
    argon2?: Argon2Cost | undefined;
    hasPasswords: boolean;
    foreign: ForeignTokens;
  } & Noting,
): Accounts {
  const sessions = new LiveSessions(options.db);
  return {
    db: options.db,
    keys: options.keys,
    tokens: new AccessTokens(options.keys),
    sessions,
    programs: new Programs(options.db, sessions),
    passwords: new PasswordHasher(options.argon2),
    hasPasswords: options.hasPasswords,
    foreign: new ForeignSessions(options.foreign),
    limits: options.limits,
    mail: options.mail,
    signUps: options.signUps,
    noting: { report: options.report, metrics: options.metrics },
    doorway: new FairQueue({
      work: 'sign-ins',
      concurrency: 4,
      concurrencyPerPerson: 1,
      maxWaitingPerPerson: 100,
      maxWaiting: 1_000,
    }),
  };
}

/** The three headers that identify the sender of a request. Each one is null or undefined if the request lacks it. */
export type Credential = { authorization: string | undefined; userAgent: string | null; actAs: string | null };

/**
 * Returns the caller whose token is in the `Authorization` header; null if the request has no such header. The token is
 * one of the following: an access token of this server; a token of an issuer in AUTH_ISSUERS, which opens a session
 * described by `userAgent`; or an API key, with which a program can act as a user (`actAs`; see `Programs.identify`).
 * Throws Unauthenticated if the token is invalid or expired or its session has ended, Forbidden if `actAs` is not
 * allowed, and IssuerUnavailable if the issuer's keys cannot be fetched.
 */
export async function authenticate(
  accounts: Accounts,
  { authorization, userAgent, actAs }: Credential,
): Promise<Caller | null> {
  if (authorization === undefined) {
    if (actAs !== null) throw new Unauthenticated(`${actAsHeader} needs an API key: send \`Authorization: Bearer …\`.`);
    return null;
  }
  const token = /^Bearer +([A-Za-z0-9._~+/=-]+) *$/i.exec(authorization)?.[1];
  if (token === undefined) throw new Unauthenticated('The Authorization header must be `Bearer …`.');
  if (claimsKind('apiKey', token)) return accounts.programs.identify(token, actAs);
  if (actAs !== null) throw new Forbidden(`Only a program with an API key can use ${actAsHeader}.`);
  const asker = accounts.foreign.takes(token)
    ? await accounts.foreign.verify(accounts, token, userAgent)
    : await accounts.tokens.verify(token);
  if (!(await accounts.sessions.isLive(asker))) throw new Unauthenticated('The session has ended: sign in again.');
  return asker;
}

/**
 * Opens a session. An unknown email address and a wrong password lead to the same InvalidCredentials after the same
 * time. Throws InvalidInput for a string that cannot be an email address or a password, and RateLimited after too many
 * wrong passwords from this network. Wrong passwords from other networks never block a sign-in. They only slow down
 * sign-ins from networks that the account does not know. Throws Forbidden if the server has no passwords.
 */
export function signIn(accounts: Accounts, input: SignIn): Promise<SignedIn> {
  const { address } = input;
  return noteFailedSignIn(accounts.noting, { method: 'password', address }, async () => {
    try {
      return await enterByPassword(accounts, input);
    } catch (error) {
      // If the settings of argon2 have changed, a concurrent sign-in may have replaced the hash with a new hash of the
      // same password. Such a replacement happens at most once.
      if (error instanceof PasswordChanged) return enterByPassword(accounts, input);
      throw error;
    }
  });
}

async function enterByPassword(accounts: Accounts, input: SignIn): Promise<SignedIn> {
  requirePasswords(accounts);
  const { limits, keys } = accounts;
  const { address } = input;
  const errors: FieldError[] = [];
  const email = readEmail(input.email, errors);
  checkGivenPassword(input.password, ['password'], errors);
  if (errors.length > 0) throw new InvalidInput(errors);

  const { user, account, isKnown, isSlow } = await accounts.doorway.run({ person: address }, () =>
    look(accounts, { email, address }),
  );
  if (isSlow) await setTimeout(slowMs);
  const { isRight, newHash } = await verifyGuess(accounts, {
    hash: user?.passwordHash ?? null,
    password: input.password,
    counted: { ...account, address },
    guesser: { person: isKnown ? String(user?.id) : address, isKnown },
  });
  if (user === null || !isRight) throw new InvalidCredentials('The email address or the password is wrong.');
  await limits.giveBack('failedSignIns', { address });

  const opened = await inTransaction(accounts.db, async (client) => {
    await lockCredentials(client, user);
    if (newHash !== null) await storePassword(client, user.id, newHash);
    await rememberNetwork(client, keys, { userId: user.id, address });
    await reportNewDevice(client, accounts, { userId: user.id, userAgent: input.userAgent, isKnown });
    return openSession(client, { userId: user.id, userAgent: input.userAgent });
  });
  accounts.mail?.ring();
  return handOver(accounts, opened);
}

/** Throws Forbidden if the server has no passwords, because its users sign in with tokens from other systems. */
export function requirePasswords({ hasPasswords }: Pick<Accounts, 'hasPasswords'>): void {
  if (!hasPasswords) throw new Forbidden('This server has no passwords: use signInWithToken.');
}

/**
 * Queues an email to the user if they sign in from a device or a network that is new to their account (`isKnown` is
 * false for a new network), except from the account's first device.
 */
async function reportNewDevice(
  client: Queryable,
  { mail, keys }: Pick<Accounts, 'mail' | 'keys'>,
  { userId, userAgent, isKnown }: { userId: bigint; userAgent: string | null; isKnown: boolean },
): Promise<void> {
  if (mail === null) return;
  const familiarity = await rememberDevice(client, keys, { userId, userAgent });
  const isNew = familiarity === 'NEW' || (familiarity === 'KNOWN' && !isKnown);
  if (!isNew || !mail.reportsNewSignIns) return;
  await queueMail(client, { kind: 'NEW_SIGN_IN', userId, device: describeDevice(userAgent) });
}

/** The account that a sign-in is for, and how to treat the attempt. */
type SignInAttempt = { user: Credentials | null; account: Counted; isKnown: boolean; isSlow: boolean };

/**
 * Counts the attempt as a failed attempt. If the sign-in succeeds, the attempt is subtracted from the count again.
 * Throws RateLimited for a network with too many failures.
 */
async function look(
  accounts: Accounts,
  { email, address }: { email: string; address: string },
): Promise<SignInAttempt> {
  const { db, keys, limits } = accounts;
  await limits.take('failedSignIns', { address });
  const user = await findCredentialsByEmail(db, email);
  const account = user === null ? { email } : { userId: user.id };
  const isKnown = user !== null && (await knowsNetwork(db.pool, keys, { userId: user.id, address }));
  // Above the account's limit, guesses from unknown networks are slowed down, but the owner can still sign in.
  const isSlow = !isKnown && !(await limits.tries('strangersGuesses', account));
  return { user, account, isKnown, isSlow };
}

/**
 * Sets a new password. Ends all other sessions of the asker except those of webhooks, and invalidates emailed codes for
 * a new password or another address. The current session continues with a new pair of tokens, and its old refresh
 * tokens become invalid. For an account without a password, a recent token takes the place of the current password
 * (proof.ts). Throws InvalidCredentials for a wrong current password, InvalidInput for an invalid new one, RateLimited
 * after too many wrong ones, and Forbidden if passwords are turned off.
 */
export async function changePassword(
  accounts: Accounts,
  asker: Asker,
  input: { currentPassword: string | null; newPassword: string },
): Promise<SignedIn> {
  requirePasswords(accounts);
  const user = await requireOwnCredentials(accounts.db, asker);
  const proof = { user, secret: input.currentPassword };
  const errors: FieldError[] = [];
  checkGivenProof(proof, ['currentPassword'], errors);
  checkNewPassword(input.newPassword, ['newPassword'], namesOf(user), errors);
  if (errors.length > 0) throw new InvalidInput(errors);

  await requireProof(accounts, asker, proof);
  const newHash = await accounts.passwords.hash(input.newPassword, { person: String(user.id), isKnown: true });
  const opened = await inTransaction(accounts.db, async (client) => {
    await lockCredentials(client, user);
    await storePassword(client, user.id, newHash);
    await withdrawMails(client, user.id, ['PASSWORD_RESET', 'EMAIL_CHANGE']);
    return endOtherSessions(client, asker);
  });
  return handOver(accounts, opened);
}

async function endOtherSessions(transaction: Transaction, { userId, sessionId }: Asker): Promise<OpenedSession> {
  const { prisma } = transaction;
  // Locks the session, so that a concurrent refresh waits and then finds that its token has been deleted. The session's
  // stream tokens become invalid. Also removes the expiry that a foreign token set. This statement comes first, because
  // ending the other sessions may invalidate this session's foreign tokens. Raw SQL, to use the database's clock.
  const kept = await transaction.query(
    `update sessions set last_used_at = clock_timestamp(), stream_token_generation = stream_token_generation + 1,
      expires_at = null
    where id = $1`,
    [sessionId],
  );
  if (kept.rowCount === 0) throw new Unauthenticated('The session has ended: sign in again.');
  const endedIds = await endSessions(transaction, { userId, id: { not: sessionId }, webhookId: null });
  const refreshToken = createSecret('refreshToken');
  await prisma.refreshToken.deleteMany({ where: { sessionId } });
  await prisma.refreshToken.create({ data: { sessionId, tokenHash: Uint8Array.from(refreshToken.hash) } });
  return { userId, sessionId, refreshToken: refreshToken.secret, endedIds };
}
