import { createCipheriv, createDecipheriv, createHmac, randomBytes, type KeyObject } from 'node:crypto';
import { deriveKey, deriveKeys, type AccessTokenKeys } from '../account/token-key.ts';

const algorithm = 'aes-256-gcm';
const nonceBytes = 12;
const tagBytes = 16;
const secretBytes = 32;
const purpose = 'parley webhook secrets';

/**
 * A new signing secret: the bytes with which deliveries are signed, and the text with which the receiver is configured.
 */
export type NewSigningSecret = { bytes: Buffer; text: string };

/** Creates a secret in the format of Standard Webhooks: `whsec_` followed by the base64 of 256 random bits. */
export function createSigningSecret(): NewSigningSecret {
  const bytes = randomBytes(secretBytes);
  return { bytes, text: `whsec_${bytes.toString('base64')}` };
}

/**
 * Encrypts signing secrets for the database, so that no one can use a backup of the database to sign deliveries. A hash
 * would not be enough, because the server needs the secrets themselves.
 */
export class SecretBox {
  readonly #sealing: KeyObject;
  readonly #opening: readonly KeyObject[];

  /**
   * The first key encrypts new secrets, and each key can decrypt the secrets that it has encrypted. These keys can
   * therefore be rotated in the same way as the keys of access tokens.
   */
  constructor(keys: AccessTokenKeys) {
    this.#sealing = deriveKey(keys, purpose);
    this.#opening = deriveKeys(keys, purpose);
  }

  seal(secret: Buffer): Buffer {
    const nonce = randomBytes(nonceBytes);
    const cipher = createCipheriv(algorithm, this.#sealing, nonce);
    const sealed = Buffer.concat([cipher.update(secret), cipher.final()]);
    return Buffer.concat([nonce, cipher.getAuthTag(), sealed]);
  }

  /**
   * Returns the secret, or null if it was not encrypted with any of the keys. `isOld` means that the secret was
   * encrypted with a key other than the first.
   */
  open(sealed: Buffer): { secret: Buffer; isOld: boolean } | null {
    for (const [index, key] of this.#opening.entries()) {
      const secret = open(key, sealed);
      if (secret !== null) return { secret, isOld: index > 0 };
    }
    return null;
  }
}

function open(key: KeyObject, sealed: Buffer): Buffer | null {
  try {
    const decipher = createDecipheriv(algorithm, key, sealed.subarray(0, nonceBytes), { authTagLength: tagBytes });
    decipher.setAuthTag(sealed.subarray(nonceBytes, nonceBytes + tagBytes));
    return Buffer.concat([decipher.update(sealed.subarray(nonceBytes + tagBytes)), decipher.final()]);
  } catch {
    return null;
  }
}

/**
 * Returns the headers of a delivery as defined by Standard Webhooks. They contain one signature for each secret, so
 * that a receiver that knows any of the secrets can verify the delivery. https://www.standardwebhooks.com
 */
export function signDelivery(
  secrets: readonly Buffer[],
  { id, body, at }: { id: string; body: string; at: Date },
): Record<'webhook-id' | 'webhook-timestamp' | 'webhook-signature', string> {
  const timestamp = String(Math.floor(at.getTime() / 1_000));
  const signatures = secrets.map(
    (secret) => `v1,${createHmac('sha256', secret).update(`${id}.${timestamp}.${body}`).digest('base64')}`,
  );
  return { 'webhook-id': id, 'webhook-timestamp': timestamp, 'webhook-signature': signatures.join(' ') };
}
