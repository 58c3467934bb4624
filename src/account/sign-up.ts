import { Conflict, Forbidden, InvalidInput, type FieldError } from '../errors.ts';
import { maxNameLength, readName } from '../core/text.ts';
import { queueMail } from '../mail/outbox.ts';
import { inTransaction, type Queryable } from '../postgres/client.ts';
import { requirePasswords, type Accounts, type Device } from './account.ts';
import { readEmail } from './email.ts';
import { rememberDevice } from './known-device.ts';
import { rememberNetwork } from './known-network.ts';
import { checkNewPassword, namesOf } from './password.ts';
import { keepSignUp, type CheckedSignUp } from './pending-sign-up.ts';
import { handOver, openSession, type SignedIn } from './session.ts';
import { applyInvite, checkInvite } from './sign-up-invite.ts';
import { checkNewUsername } from './username.ts';

/** What a new user sends to create an account. */
export type SignUp = Device & {
  username: string;
  email: string;
  password: string;
  displayName: string | null;
  inviteCode: string | null;
};

/** The result of a sign-up that must be confirmed by email. It reveals nothing about the address. */
export type SignUpStarted = { email: string };

/**
 * Creates an account and signs its user in. If sign-ups must be confirmed by email, stores the sign-up until
 * `verifyEmail` instead. Usernames and email addresses are unique, ignoring case. If two concurrent requests ask for
 * the same name or address, the second request gets Conflict. A sign-up that must be confirmed never results in
 * Conflict, so it does not reveal which addresses have accounts. Throws Forbidden if sign-up is closed, if it requires
 * an invite and none is given, if the invite lets no one in, or if the server has no passwords; InvalidInput with all
 * invalid fields; and RateLimited for a network that has created many accounts or has tried many names that were taken.
 */
export async function signUp(accounts: Accounts, input: SignUp): Promise<SignedIn | SignUpStarted> {
  requirePasswords(accounts);
  const { limits, signUps } = accounts;
  const { address } = input;
  if (signUps.mode === 'closed') throw new Forbidden('Sign-up is closed on this server.');
  const person = readSignUp(input);
  await limits.take('signUps', { address });
  await checkInvite(accounts.db.pool, signUps, input.inviteCode);
  // Checks the limit just before the hash, so that concurrent requests beyond the limit learn nothing.
  const onTurn = () => limits.refuseExhausted('takenNames', { address });
  const passwordHash = await accounts.passwords.hash(input.password, { person: address, isKnown: false, onTurn });
  if (signUps.isConfirmed) return startSignUp(accounts, { ...person, passwordHash }, address);
  try {
    return await createAccount(accounts, { ...person, passwordHash }, input);
  } catch (error) {
    if (error instanceof Conflict) await limits.take('takenNames', { address });
    throw error;
  }
}

async function startSignUp(accounts: Accounts, person: CheckedSignUp, address: string): Promise<SignUpStarted> {
  const { db, limits, mail } = accounts;
  const { email } = person;
  if (await limits.tries('mailRequests', { email, address })) {
    await keepSignUp(db.pool, person);
    mail?.ring();
  }
  return { email };
}

async function createAccount(accounts: Accounts, person: CheckedSignUp, device: Device): Promise<SignedIn> {
  const { db, keys, mail } = accounts;
  const { address, userAgent } = device;
  const opened = await inTransaction(db, async (client) => {
    // Inserts the user and the credentials. Raw SQL, because Prisma cannot express `on conflict`. Without it, a taken
    // name would fail the transaction before `nameConflict` can tell whether the username or the email address is
    // taken.
    const { rows } = await client.query<{ id: bigint }>(
      `with person as (
        insert into users (username, email, display_name) values ($1, $2, $3)
        on conflict do nothing returning id
      )
      insert into credentials (user_id, password_hash) select id, $4 from person returning user_id as id`,
      [person.username, person.email, person.displayName, person.passwordHash],
    );
    const userId = rows[0]?.id;
    if (userId === undefined) throw await nameConflict(client, person);
    await applyInvite(client, person.inviteCode, userId);
    await rememberNetwork(client, keys, { userId, address });
    if (mail !== null) {
      await rememberDevice(client, keys, { userId, userAgent });
      await queueMail(client, { kind: 'VERIFICATION', userId });
    }
    return openSession(client, { userId, userAgent });
  });
  mail?.ring();
  return handOver(accounts, opened);
}

function readSignUp(input: SignUp): Omit<CheckedSignUp, 'passwordHash'> {
  const errors: FieldError[] = [];
  checkNewUsername(input.username, errors);
  const email = readEmail(input.email, errors);
  checkNewPassword(input.password, ['password'], namesOf({ username: input.username, email }), errors);
  const displayName =
    input.displayName === null ? null : readName(input.displayName, ['displayName'], maxNameLength, errors);
  if (errors.length > 0) throw new InvalidInput(errors);
  return { username: input.username, email, displayName, inviteCode: input.inviteCode };
}

/**
 * Returns the Conflict for an insert that has just failed because the username or the email address is taken, and says
 * which of the two is taken.
 */
export async function nameConflict(client: Queryable, person: { username: string; email: string }): Promise<Conflict> {
  // Reads which of the two is taken. Raw SQL, because Prisma cannot express fold(), the function that the indexes use.
  const { rows } = await client.query<{ username: boolean; email: boolean }>(
    `select exists (select from users where fold(username) = fold($1)) as username,
      exists (select from users where fold(email) = fold($2)) as email`,
    [person.username, person.email],
  );
  const { username, email } = rows[0] ?? { username: false, email: false };
  if (username && email)
    return new Conflict('The username and the email address are both taken.', ['username', 'email']);
  if (username) return new Conflict('The username is taken.', ['username']);
  if (email) return new Conflict('The email address is taken.', ['email']);
  // The taken value has become free since the insert was refused, so it is unknown which of the two it was.
  return new Conflict('The username or the email address was just taken.', ['username', 'email']);
}
