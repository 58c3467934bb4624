import { createCipheriv, createDecipheriv, createHmac, randomBytes, type KeyObject } from 'node:crypto';
import { deriveKey, deriveKeys, type AccessTokenKeys } from '../account/token-key.ts';

const algorithm = 'aes-256-gcm';
const nonceBytes = 12;
const tagBytes = 16;
const secretBytes = 32;
const purpose = 'parley webhook secrets';

/** A new signing secret: the bytes to sign with, and the text to configure the receiver with. */
export type NewSigningSecret = { bytes: Buffer; text: string };

/** Creates a secret in the form of Standard Webhooks: `whsec_` and the base64 of 256 random bits. */
export function createSigningSecret(): NewSigningSecret {
  const bytes = randomBytes(secretBytes);
  return { bytes, text: `whsec_${bytes.toString('base64')}` };
}

/**
 * Encrypts signing secrets for the database, so that its backups do not let anyone sign deliveries. The server needs the
 * secrets themselves, so a hash would not do.
 */
export class SecretBox {
  readonly #sealing: KeyObject;
  readonly #opening: readonly KeyObject[];

  /** The first of the keys seals, and each opens what it sealed: keys can be rotated like those of access tokens. */
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

  /** The secret; null if none of the keys sealed it. `isOld`: a key other than the first sealed it. */
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
 * The headers of a delivery as Standard Webhooks defines them: one signature for each secret, so that a receiver that
 * knows any of them can verify it. https://www.standardwebhooks.com
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
