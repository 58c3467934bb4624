import { inTransaction, type Db, type Queryable, type Transaction } from '../postgres/client.ts';
import { setTimeout } from 'node:timers/promises';
import { Conflict, InvalidCredentials, InvalidInput, Unauthenticated, type FieldError } from '../errors.ts';
import {
  findCredentialsByEmail,
  lockCredentials,
  requireOwnCredentials,
  storePassword,
  verifyAgain,
  verifyGuess,
  type Credentials,
} from './credentials.ts';
import { knowsNetwork, rememberNetwork } from './known-network.ts';
import { LiveSessions } from './live-session.ts';
import { checkGivenPassword, checkNewPassword, PasswordHasher, type Argon2Cost } from './password.ts';
import { FairQueue } from '../core/fair-queue.ts';
import type { Counted, RateLimits } from '../core/rate-limit.ts';
import { createSecret } from '../core/secret.ts';
import { endSessions, handOver, openSession, type OpenedSession, type Sessions, type SignedIn } from './session.ts';
import { maxNameLength, readLine } from '../core/text.ts';
import { AccessTokens } from './token.ts';
import { checkNewUsername } from './username.ts';
import type { AccessTokenKeys } from './token-key.ts';
import type { Asker } from '../core/asker.ts';

/** What the functions on accounts and sessions need. */
export type Accounts = Sessions & {
  passwords: PasswordHasher;
  /** Queues what sign-in reads before it compares a password: a flood from one network takes one database connection. */
  doorway: FairQueue;
};

export const maxEmailLength = 254;

/** How long a sign-in from an unknown network waits at an account that is under attack. */
const slowMs = 3_000;

/** The device of a sign-in: its user agent, and its network address, by which limits are counted. */
export type Device = { userAgent: string | null; address: string };

/** What a new user sends to create an account. */
export type SignUp = Device & {
  username: string;
  email: string;
  password: string;
  displayName: string | null;
};

/** What a user sends to sign in. */
export type SignIn = Device & { email: string; password: string };

/**
 * Sets up what the functions on accounts and sessions share. `argon2` is the cost of a password hash: OWASP's figures
 * unless a test needs less.
 */
export function createAccounts(options: {
  db: Db;
  keys: AccessTokenKeys;
  limits: RateLimits;
  argon2?: Argon2Cost | undefined;
}): Accounts {
  return {
    db: options.db,
    keys: options.keys,
    tokens: new AccessTokens(options.keys),
    sessions: new LiveSessions(options.db),
    passwords: new PasswordHasher(options.argon2),
    limits: options.limits,
    doorway: new FairQueue({
      work: 'sign-ins',
      concurrency: 4,
      concurrencyPerPerson: 1,
      maxWaitingPerPerson: 100,
      maxWaiting: 1_000,
    }),
  };
}

/**
 * The asker whose token is in the `Authorization` header; null when there is no header.
 * Throws Unauthenticated for a token that is invalid or expired, or whose session has ended.
 */
export async function authenticate(accounts: Accounts, authorization: string | undefined): Promise<Asker | null> {
  if (authorization === undefined) return null;
  const token = /^Bearer +([A-Za-z0-9._~+/=-]+) *$/i.exec(authorization)?.[1];
  if (token === undefined) throw new Unauthenticated('The Authorization header must be `Bearer …`.');
  const asker = await accounts.tokens.verify(token);
  if (!(await accounts.sessions.isLive(asker))) throw new Unauthenticated('The session has ended: sign in again.');
  return asker;
}

/**
 * Creates an account and signs its user in. Usernames and addresses are unique without regard to case: of two concurrent
 * requests for one, the second gets Conflict. Throws InvalidInput with every invalid field, and RateLimited for a network
 * that creates many accounts, or that has tried many names that were taken.
 */
export async function signUp(accounts: Accounts, input: SignUp): Promise<SignedIn> {
  const { limits, keys } = accounts;
  const { address } = input;
  const person = readSignUp(input);
  await limits.take('signUps', { address });
  // Checked just before the hash, so that concurrent requests past the limit learn nothing.
  const onTurn = () => limits.refuseExhausted('takenNames', { address });
  const passwordHash = await accounts.passwords.hash(input.password, { person: address, isKnown: false, onTurn });
  try {
    const opened = await inTransaction(accounts.db, async (client) => {
      // Inserts the user and the credentials. As SQL: Prisma cannot express `on conflict`, without which a taken name
      // would fail the transaction before `nameConflict` can tell which one it is.
      const { rows } = await client.query<{ id: bigint }>(
        `with person as (
          insert into users (username, email, display_name) values ($1, $2, $3)
          on conflict do nothing returning id
        )
        insert into credentials (user_id, password_hash) select id, $4 from person returning user_id as id`,
        [person.username, person.email, person.displayName, passwordHash],
      );
      if (rows[0] === undefined) throw await nameConflict(client, person);
      await rememberNetwork(client, keys, { userId: rows[0].id, address });
      return openSession(client, { userId: rows[0].id, userAgent: input.userAgent });
    });
    return await handOver(accounts, opened);
  } catch (error) {
    if (error instanceof Conflict) await limits.take('takenNames', { address });
    throw error;
  }
}

/**
 * Opens a session. An unknown address and a wrong password cause the same InvalidCredentials after the same time. Throws
 * InvalidInput for texts that cannot be an address or a password, and RateLimited after too many wrong passwords from this
 * network. Wrong passwords from other networks never cause a refusal: they only slow down sign-ins from networks that the
 * account does not know.
 */
export async function signIn(accounts: Accounts, input: SignIn): Promise<SignedIn> {
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
  if (user === null || !isRight) throw new InvalidCredentials('The e-mail address or the password is wrong.');
  await limits.giveBack('failedSignIns', { address });

  const opened = await inTransaction(accounts.db, async (client) => {
    await lockCredentials(client, user);
    if (newHash !== null) await storePassword(client, user.id, newHash);
    await rememberNetwork(client, keys, { userId: user.id, address });
    return openSession(client, { userId: user.id, userAgent: input.userAgent });
  });
  return handOver(accounts, opened);
}

/** The account of a sign-in, and how to treat the attempt. */
type Attempt = { user: Credentials | null; account: Counted; isKnown: boolean; isSlow: boolean };

/** Counts the attempt as failed until it succeeds. Throws RateLimited for a network with too many failures. */
async function look(accounts: Accounts, { email, address }: { email: string; address: string }): Promise<Attempt> {
  const { db, keys, limits } = accounts;
  await limits.take('failedSignIns', { address });
  const user = await findCredentialsByEmail(db, email);
  const account = user === null ? { email } : { userId: user.id };
  const isKnown = user !== null && (await knowsNetwork(db.pool, keys, { userId: user.id, address }));
  // Past the account's limit, guesses from unknown networks become slow; the owner can still sign in.
  const isSlow = !isKnown && !(await limits.tries('strangersGuesses', account));
  return { user, account, isKnown, isSlow };
}

/**
 * Sets a new password. All other sessions of the asker end. The current one continues with a new pair of tokens, and its
 * earlier refresh tokens become invalid. Throws InvalidCredentials for a wrong current password, InvalidInput for an
 * invalid new one, and RateLimited after too many wrong ones.
 */
export async function changePassword(
  accounts: Accounts,
  asker: Asker,
  input: { currentPassword: string; newPassword: string },
): Promise<SignedIn> {
  const user = await requireOwnCredentials(accounts.db, asker);
  const errors: FieldError[] = [];
  checkGivenPassword(input.currentPassword, ['currentPassword'], errors);
  checkNewPassword(input.newPassword, ['newPassword'], namesOf(user), errors);
  if (errors.length > 0) throw new InvalidInput(errors);

  const { isRight } = await verifyAgain(accounts, asker, {
    hash: user.passwordHash,
    password: input.currentPassword,
  });
  if (!isRight) throw new InvalidCredentials('The current password is wrong.');
  const newHash = await accounts.passwords.hash(input.newPassword, { person: String(user.id), isKnown: true });
  const opened = await inTransaction(accounts.db, async (client) => {
    await lockCredentials(client, user);
    await storePassword(client, user.id, newHash);
    return endOtherSessions(client, asker);
  });
  return handOver(accounts, opened);
}

async function endOtherSessions(transaction: Transaction, { userId, sessionId }: Asker): Promise<OpenedSession> {
  const { prisma } = transaction;
  const endedIds = await endSessions(transaction, { userId, id: { not: sessionId } });
  // Locks the session, so that a concurrent refresh waits and then finds its token deleted. Its stream tokens end.
  // As SQL: the database's time.
  const kept = await transaction.query(
    'update sessions set last_used_at = clock_timestamp(), stream_token_generation = stream_token_generation + 1 where id = $1',
    [sessionId],
  );
  if (kept.rowCount === 0) throw new Unauthenticated('The session has ended: sign in again.');
  const refreshToken = createSecret('refreshToken');
  await prisma.refreshToken.deleteMany({ where: { sessionId } });
  await prisma.refreshToken.create({ data: { sessionId, tokenHash: Uint8Array.from(refreshToken.hash) } });
  return { userId, sessionId, refreshToken: refreshToken.secret, endedIds };
}

function readSignUp(input: SignUp): { username: string; email: string; displayName: string | null } {
  const errors: FieldError[] = [];
  checkNewUsername(input.username, errors);
  const email = readEmail(input.email, errors);
  checkNewPassword(input.password, ['password'], namesOf({ username: input.username, email }), errors);
  const displayName =
    input.displayName === null ? null : readLine(input.displayName, ['displayName'], maxNameLength, errors);
  if (errors.length > 0) throw new InvalidInput(errors);
  return { username: input.username, email, displayName };
}

/** Checks the form only (something, an @, something): whether mail arrives there is unknown. */
function readEmail(value: string, errors: FieldError[]): string {
  const refusedBefore = errors.length;
  const email = readLine(value, ['email'], maxEmailLength, errors);
  if (errors.length === refusedBefore && !/^[^@\s]+@[^@\s]+$/.test(email)) {
    errors.push({ path: ['email'], code: 'MALFORMED', message: 'is not an e-mail address' });
  }
  return email;
}

/** The texts that the password must not contain. */
function namesOf({ username, email }: { username: string; email: string }): string[] {
  return [username, email, email.replace(/@.*/s, '')];
}

async function nameConflict(client: Queryable, person: { username: string; email: string }): Promise<Conflict> {
  // Which of the two is taken. As SQL: Prisma cannot express fold(), which the indexes are over.
  const { rows } = await client.query<{ username: boolean; email: boolean }>(
    `select exists (select from users where fold(username) = fold($1)) as username,
      exists (select from users where fold(email) = fold($2)) as email`,
    [person.username, person.email],
  );
  const { username, email } = rows[0] ?? { username: false, email: false };
  if (username && email)
    return new Conflict('The username and the e-mail address are both taken.', ['username', 'email']);
  if (username) return new Conflict('The username is taken.', ['username']);
  if (email) return new Conflict('The e-mail address is taken.', ['email']);
  // It has become free since the insert was refused, so which of the two it was is unknown.
  return new Conflict('The username or the e-mail address was just taken.', ['username', 'email']);
}
