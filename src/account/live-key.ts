import DataLoader from 'dataloader';
import { createLru } from '../core/lru.ts';
import { never, type KeyGrant } from '../core/asker.ts';
import { hashSecret } from '../core/secret.ts';
import { Unauthenticated } from '../errors.ts';
import type { Db } from '../postgres/client.ts';
import type { Scope } from '../core/scope.ts';

/**
 * How long a node caches an answer of the database. This node therefore refuses a key within a second of its revocation
 * on another node.
 */
const maxBeliefMs = 500;
const maxKeys = 10_000;

/** The database's last answer for a secret; null for an unknown secret or a revoked key. */
type Belief = { grant: Promise<KeyGrant | null>; askedAt: number };
type KeyRow = { secretHash: Buffer; keyId: bigint; scopes: Scope[]; botId: bigint | null; expiresAt: Date | null };

/** Finds API keys by their secrets. Queries the database at most twice a second for each key in use. */
export class LiveKeys {
  readonly #beliefs = createLru<string, Belief>(maxKeys);
  readonly #pool: Db['pool'];
  readonly #keys: DataLoader<Buffer, KeyGrant | null>;

  constructor({ pool }: Pick<Db, 'pool'>) {
    this.#pool = pool;
    this.#keys = new DataLoader((hashes) => readKeys(pool, hashes), { cache: false, maxBatchSize: 1_000 });
  }

  /**
   * Returns the key with that secret. Throws Unauthenticated if there is no such key, or if it was revoked or has
   * expired. The answer is at most 500 ms old.
   */
  async find(secret: string): Promise<KeyGrant> {
    const hash = hashSecret('apiKey', secret);
    const grant = hash === null ? null : await this.#believe(hash).grant;
    if (grant === null) throw new Unauthenticated('The API key is not valid.');
    if (grant.expiresAt.getTime() <= Date.now()) throw new Unauthenticated('The API key has expired.');
    return grant;
  }

  /**
   * Returns the live key with that id, for a program that the server itself runs. Throws Unauthenticated if the key was
   * revoked or has expired.
   */
  async findById(keyId: bigint): Promise<KeyGrant> {
    const { rows } = await this.#pool.query<Omit<KeyRow, 'secretHash'>>(
      `select id as "keyId", scopes::text[] as scopes, bot_id as "botId", expires_at as "expiresAt" from api_keys
      where id = $1 and revoked_at is null and (expires_at is null or expires_at > clock_timestamp())`,
      [keyId],
    );
    if (rows[0] === undefined) throw new Unauthenticated('The API key is no longer valid.');
    return toGrant(rows[0]);
  }

  /** Call this when this node has revoked a key, so that the next check of each key queries the database. */
  forget(): void {
    this.#beliefs.clear();
  }

  #believe(hash: Buffer): Belief {
    const name = hash.toString('base64');
    const known = this.#beliefs.get(name);
    if (known !== undefined && performance.now() - known.askedAt < maxBeliefMs) return known;
    const belief: Belief = { askedAt: performance.now(), grant: this.#keys.load(hash) };
    this.#beliefs.set(name, belief);
    // Does not cache a failed read.
    belief.grant.catch(() => {
      if (this.#beliefs.peek(name) === belief) this.#beliefs.delete(name);
    });
    return belief;
  }
}

async function readKeys(pool: Db['pool'], hashes: readonly Buffer[]): Promise<(KeyGrant | null)[]> {
  // Reads the unrevoked keys with these secrets, and records their use, to the minute. Raw SQL, because this statement
  // runs up to twice a second for each key and uses the database's clock. Expired keys are included, so that the
  // program learns why its key was refused.
  const { rows } = await pool.query<KeyRow>({
    name: 'live_keys',
    text: `with found as (
      select id, secret_hash, scopes, bot_id, expires_at, last_used_at from api_keys
      where secret_hash = any ($1) and revoked_at is null
    ), used as (
      update api_keys k set last_used_at = clock_timestamp() from found f
      where k.id = f.id and (f.last_used_at is null or f.last_used_at < clock_timestamp() - interval '1 minute')
        and (f.expires_at is null or f.expires_at > clock_timestamp())
    )
    select secret_hash as "secretHash", id as "keyId", scopes::text[] as scopes, bot_id as "botId",
      expires_at as "expiresAt"
    from found`,
    values: [hashes],
  });
  const found = new Map(rows.map(({ secretHash, ...row }) => [secretHash.toString('base64'), toGrant(row)]));
  return hashes.map((hash) => found.get(hash.toString('base64')) ?? null);
}

function toGrant({ keyId, scopes, botId, expiresAt }: Omit<KeyRow, 'secretHash'>): KeyGrant {
  return { keyId, scopes: new Set(scopes), botId, expiresAt: expiresAt ?? never };
}
