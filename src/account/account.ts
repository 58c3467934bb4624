import { inTransaction, type Db, type Queryable } from '../postgres/client.ts';
import { setTimeout } from 'node:timers/promises';
import { Conflict, InvalidCredentials, InvalidInput, Unauthenticated, type FieldError } from '../errors.ts';
import {
  findCredentials,
  lockCredentials,
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
import { handOver, openSession, type OpenedSession, type Sessions, type SignedIn } from './session.ts';
import { maxNameLength, readLine } from '../core/text.ts';
import { AccessTokens } from './token.ts';
import { checkNewUsername } from './username.ts';
import type { AccessTokenKeys } from './token-key.ts';
import type { Asker } from '../core/asker.ts';

/** What the verbs of accounts and sessions need. */
export type Accounts = Sessions & {
  passwords: PasswordHasher;
  /** What sign-in reads before it compares a password: a flood from one network takes one connection to the database. */
  doorway: FairQueue;
};

export const maxEmailLength = 254;

/** How long a try waits at an account that strangers guess at. */
const slowMs = 3_000;

/** The device that someone signs in on: what it calls itself, and its network address, which limits are counted by. */
export type Device = { userAgent: string | null; address: string };

/** What a stranger sends to get an account. */
export type SignUp = Device & {
  username: string;
  email: string;
  password: string;
  displayName: string | null;
};

/** How one gets back in. */
export type SignIn = Device & { email: string; password: string };

/** Sets up what the verbs share. `argon2` is what a password hash costs: OWASP's figures unless a test wants it cheap. */
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
 * Whose token stands in the `Authorization` header; null when there is no header.
 * Throws Unauthenticated for a token that is not good (any more), or whose session has ended.
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
 * Makes an account and signs its person in. Username and address are unique without regard to case: of two who ask for
 * one at once, one gets it and the other Conflict. Throws InvalidInput with every refused field, and RateLimited for a
 * network that makes many accounts, or that has tried many names that were taken.
 */
export async function signUp(accounts: Accounts, input: SignUp): Promise<SignedIn> {
  const { limits, keys } = accounts;
  const { address } = input;
  const person = readSignUp(input);
  await limits.take('signUps', { address });
  // In turn: of many at once, those behind the last that is allowed learn nothing.
  const onTurn = () => limits.refuseExhausted('takenNames', { address });
  const passwordHash = await accounts.passwords.hash(input.password, { person: address, isKnown: false, onTurn });
  try {
    const opened = await inTransaction(accounts.db, async (client) => {
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
 * Opens a session. An unknown address and a wrong password are the same InvalidCredentials after the same time. Throws
 * InvalidInput for what can be no address or password at all, and RateLimited after too many wrong passwords from this
 * network. Wrong passwords from elsewhere never refuse anyone: from a network that the account does not know, they only
 * make it take longer.
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

/** Who it is about, and how the attempt is to be treated. */
type Attempt = { user: Credentials | null; account: Counted; isKnown: boolean; isSlow: boolean };

/** Counts the attempt as one that fails, until it succeeds. Throws RateLimited for a network with too many. */
async function look(accounts: Accounts, { email, address }: { email: string; address: string }): Promise<Attempt> {
  const { db, keys, limits } = accounts;
  await limits.take('failedSignIns', { address });
  const user = await findCredentials(db, 'fold(u.email) = fold($1)', email);
  const account = user === null ? { email } : { userId: user.id };
  const isKnown = user !== null && (await knowsNetwork(db.pool, keys, { userId: user.id, address }));
  // Past its share, guesses from many networks get slow, and the owner still gets in.
  const isSlow = !isKnown && !(await limits.tries('strangersGuesses', account));
  return { user, account, isKnown, isSlow };
}

/**
 * Sets a new password. Every other session of the viewer ends; this one goes on with a fresh pair, and its refresh
 * tokens from before are good no more. Throws InvalidCredentials when the current password is not right, InvalidInput
 * for a new one that won't do, RateLimited after too many wrong ones.
 */
export async function changePassword(
  accounts: Accounts,
  asker: Asker,
  input: { currentPassword: string; newPassword: string },
): Promise<SignedIn> {
  const user = await findCredentials(accounts.db, 'u.id = $1', asker.userId);
  if (user === null) throw new Unauthenticated('The account has been deleted.');
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

async function endOtherSessions(client: Queryable, { userId, sessionId }: Asker): Promise<OpenedSession> {
  const ended = await client.query<{ id: bigint }>(
    'delete from sessions where user_id = $1 and id <> $2 returning id',
    [userId, sessionId],
  );
  // Locks it, so that a refresh on its way comes after: then its token is gone.
  const kept = await client.query('update sessions set last_used_at = clock_timestamp() where id = $1', [sessionId]);
  if (kept.rowCount === 0) throw new Unauthenticated('The session has ended: sign in again.');
  const refreshToken = createSecret('refreshToken');
  await client.query('delete from refresh_tokens where session_id = $1', [sessionId]);
  await client.query('insert into refresh_tokens (session_id, token_hash) values ($1, $2)', [
    sessionId,
    refreshToken.hash,
  ]);
  return { userId, sessionId, refreshToken: refreshToken.secret, endedIds: ended.rows.map(({ id }) => id) };
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

/** Whether mail arrives there can't be told from how it looks: something, an @, something. */
function readEmail(value: string, errors: FieldError[]): string {
  const refusedBefore = errors.length;
  const email = readLine(value, ['email'], maxEmailLength, errors);
  if (errors.length === refusedBefore && !/^[^@\s]+@[^@\s]+$/.test(email)) {
    errors.push({ path: ['email'], code: 'MALFORMED', message: 'is not an e-mail address' });
  }
  return email;
}

/** What a password must not be. */
function namesOf({ username, email }: { username: string; email: string }): string[] {
  return [username, email, email.replace(/@.*/s, '')];
}

async function nameConflict(client: Queryable, person: { username: string; email: string }): Promise<Conflict> {
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
  // Freed again since the insert was refused: which of the two it was cannot be said any more.
  return new Conflict('The username or the e-mail address was just taken.', ['username', 'email']);
}
