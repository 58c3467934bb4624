import { createLru } from '../core/lru.ts';
import type { KeyAsker, KeyGrant, Program } from '../core/asker.ts';
import { parseId } from '../core/id.ts';
import { Forbidden, Unauthenticated } from '../errors.ts';
import type { Db } from '../postgres/client.ts';
import { constraintOf } from '../postgres/sql-state.ts';
import { LiveKeys } from './live-key.ts';
import type { LiveSessions } from './live-session.ts';
import { refuseSuspended } from './suspension.ts';

/** The header in which a program names the user to act as. */
export const actAsHeader = 'parley-act-as';

const maxSessions = 50_000;

/** The user that a program makes requests as. `isActing`: false for the key's own bot. */
type Subject = { userId: bigint; isActing: boolean };

/** Identifies programs by their API keys. */
export class Programs {
  readonly keys: LiveKeys;
  readonly #db: Db;
  readonly #sessions: LiveSessions;
  /** Caches the session of each key with each user on whose behalf the key has made requests. */
  readonly #known = createLru<string, bigint>(maxSessions);

  constructor(db: Db, sessions: LiveSessions) {
    this.keys = new LiveKeys(db);
    this.#db = db;
    this.#sessions = sessions;
  }

  /**
   * Returns the program with that key. `actAs`: the user to act as, by id or as `key:` and the user's external key;
   * null for none. Throws Unauthenticated for an invalid key. Throws Forbidden for `actAs` with a key that lacks
   * ACT_AS, for a user who does not exist, and (with the end and the reason) for a suspended user, even if that user is
   * the key's own bot.
   */
  async identify(secret: string, actAs: string | null): Promise<Program> {
    const key = await this.keys.find(secret);
    const itself = await this.#asItself(key);
    return actAs === null ? itself : this.#speakFor(key, await findSubject(this.#db, key, actAs));
  }

  /**
   * Returns the program whose key has that id; the program acts as no other user. Throws Unauthenticated for a key that
   * is no longer valid, and Forbidden for a suspended bot.
   */
  async identifyById(keyId: bigint): Promise<Program> {
    return this.#asItself(await this.keys.findById(keyId));
  }

  async #asItself(key: KeyGrant): Promise<Program> {
    return key.botId === null
      ? { ...key, kind: 'KEY', userId: null }
      : this.#speakFor(key, { userId: key.botId, isActing: false });
  }

  /**
   * Identifies the bot of a key that the caller knows by something other than the key's secret, as for an incoming
   * webhook. Throws Unauthenticated for a key that is no longer valid, and Forbidden for a suspended bot.
   */
  speakForBot(key: KeyGrant & { botId: bigint }): Promise<KeyAsker> {
    return this.#speakFor(key, { userId: key.botId, isActing: false });
  }

  async #speakFor(key: KeyGrant, { userId, isActing }: Subject): Promise<KeyAsker> {
    const name = `${key.keyId} ${userId}`;
    const known = this.#known.get(name);
    const isLive = known !== undefined && (await this.#sessions.isLive({ sessionId: known, userId }));
    const sessionId = isLive ? known : await openKeySession(this.#db, key, userId);
    if (!isLive) {
      this.#sessions.forget(sessionId);
      this.#known.set(name, sessionId);
    }
    return { ...key, kind: 'KEY', userId, sessionId, isActing };
  }
}

/** The prefix of an external key in the `actAs` header. */
const keyPrefix = 'key:';

async function findSubject(db: Db, { scopes, botId }: KeyGrant, actAs: string): Promise<Subject> {
  if (!scopes.has('ACT_AS')) throw new Forbidden(`This API key lacks the scope ACT_AS, which ${actAsHeader} needs.`);
  const userId = actAs.startsWith(keyPrefix) ? await findByKey(db, actAs.slice(keyPrefix.length)) : readId(actAs);
  if (userId === null) throw unknownUser();
  return { userId, isActing: userId !== botId };
}

function readId(actAs: string): bigint | null {
  const parsed = parseId(actAs);
  return parsed?.type === 'User' && /^\d{1,19}$/.test(parsed.key) ? BigInt(parsed.key) : null;
}

/** Raw SQL, because this runs for every request that names a user by key. */
async function findByKey({ pool }: Db, key: string): Promise<bigint | null> {
  const { rows } = await pool.query<{ id: bigint }>({
    name: 'user_by_key',
    text: 'select id from users where key = $1',
    values: [key],
  });
  return rows[0]?.id ?? null;
}

/** Opens or extends the session of a key for a user. */
async function openKeySession(
  { pool }: Pick<Db, 'pool'>,
  { keyId }: Pick<KeyGrant, 'keyId'>,
  userId: bigint,
): Promise<bigint> {
  try {
    // Raw SQL, for the upsert and for the database's clock. Triggers refuse a key that is no longer valid and a user
    // who is suspended.
    const { rows } = await pool.query<{ id: bigint }>(
      // The lock makes the statement wait for an erasure in progress, after which it finds no user.
      `insert into sessions (user_id, api_key_id)
      select id, $2 from users where id = $1 and deleted_at is null for no key update
      on conflict (api_key_id, user_id) where api_key_id is not null do update set last_used_at = clock_timestamp()
      returning id`,
      [userId, keyId],
    );
    if (rows[0] === undefined) throw unknownUser();
    return rows[0].id;
  } catch (error) {
    const rule = constraintOf(error);
    if (rule === 'a_live_key_opens_sessions') throw new Unauthenticated('The API key is not valid.', { cause: error });
    if (rule !== 'a_suspended_user_has_no_session') throw error;
    await refuseSuspended(pool, userId);
    // The suspension has just ended, so the second attempt succeeds.
    return openKeySession({ pool }, { keyId }, userId);
  }
}

function unknownUser(): Forbidden {
  return new Forbidden(`${actAsHeader} names no user of this server.`);
}
