import {
  refreshDocument,
  revokeDocument,
  sessionsDocument,
  signInDocument,
  signOutDocument,
  signUpDocument,
} from './document.ts';
import { ParleyError } from './error.ts';
import { post, type Server } from './request.ts';
import type { KeyValueStore } from './key-value-store.ts';
import { withLock } from './tab.ts';

/** `freshUntil`: in ms of this device's clock. */
type Tokens = { access: string; refresh: string; freshUntil: number };
type SignedIn = { accessToken: string; refreshToken: string };

const storageKey = 'session';
/** A token is renewed this long before it ends. */
const marginMs = 30_000;

export type SessionOptions = {
  server: Server;
  storage: KeyValueStore;
  /** Differs between the stores of different clients, and is the same in all tabs that share one. */
  lockName: string;
  getForeignToken: (() => Promise<string>) | undefined;
  /** Called when the session has ended on the server, or in another tab. */
  onEnd: () => void;
};

/** Who is signed in here. Gives each request the current token, and refreshes it, in one tab at a time. */
export class Session {
  readonly #options: SessionOptions;
  #tokens: Tokens | null = null;
  #foreign: { token: string; freshUntil: number } | null = null;
  #refreshing: Promise<string> | null = null;

  constructor(options: SessionOptions) {
    this.#options = options;
  }

  /** Whether requests will have a token. */
  get isOpen(): boolean {
    return this.#tokens !== null || this.#options.getForeignToken !== undefined;
  }

  /** Takes up the session that is kept. Resolves with whether there is one. */
  async restore(): Promise<boolean> {
    this.#tokens ??= await this.#read();
    return this.isOpen;
  }

  /** Runs an operation with the current token, and once more with a new one if the token is refused. */
  async query<Data>(document: string, variables: object = {}): Promise<Data> {
    const { server } = this.#options;
    const token = await this.token();
    try {
      return await post(server, { document, variables, token });
    } catch (error) {
      if (!(error instanceof ParleyError) || error.code !== 'UNAUTHENTICATED' || !this.isOpen) throw error;
    }
    return post(server, { document, variables, token: await this.token(token) });
  }

  /** A token that is valid for a while. `refused`: the one that is not, whatever the clock says. */
  async token(refused: string | null = null): Promise<string> {
    if (this.#options.getForeignToken !== undefined) return this.#foreignToken(this.#options.getForeignToken, refused);
    const tokens = this.#tokens;
    if (tokens === null) throw new ParleyError('UNAUTHENTICATED', 'You are not signed in.');
    if (tokens.access !== refused && tokens.freshUntil > Date.now()) return tokens.access;
    this.#refreshing ??= withLock(`${this.#options.lockName}refresh`, () => this.#refresh(tokens)).finally(() => {
      this.#refreshing = null;
    });
    return this.#refreshing;
  }

  async signUp(input: object): Promise<void> {
    const { signUp } = await this.#ask<{ signUp: SignedIn }>(signUpDocument, { input });
    if (!('accessToken' in signUp)) throw new ParleyError('CONFIRM_EMAIL', 'Confirm your email address, then sign in.');
    await this.#keep(signUp);
  }

  async signIn(input: object): Promise<void> {
    await this.#keep((await this.#ask<{ signIn: SignedIn }>(signInDocument, { input })).signIn);
  }

  /** Ends the session; with `everywhere`, those of the user's other devices too. Always ends it on this device. */
  async signOut({ everywhere = false } = {}): Promise<void> {
    try {
      if (everywhere) await this.#revokeOthers();
      await this.query(signOutDocument);
    } finally {
      await this.forget();
    }
  }

  /** Forgets the tokens. */
  async forget(): Promise<void> {
    this.#tokens = null;
    this.#foreign = null;
    await this.#options.storage.delete(storageKey);
  }

  async #revokeOthers(): Promise<void> {
    const { viewer } = await this.query<{ viewer: { sessions: { id: string; isCurrent: boolean }[] } }>(
      sessionsDocument,
    );
    for (const { id, isCurrent } of viewer.sessions) if (!isCurrent) await this.query(revokeDocument, { id });
  }

  async #foreignToken(getToken: () => Promise<string>, refused: string | null): Promise<string> {
    const known = this.#foreign;
    if (known !== null && known.token !== refused && known.freshUntil > Date.now()) return known.token;
    const token = await getToken();
    this.#foreign = { token, freshUntil: freshUntil(token) };
    return token;
  }

  /** Another tab may have refreshed, or signed out, while this one waited for its turn. */
  async #refresh(before: Tokens): Promise<string> {
    const kept = await this.#read();
    if (kept !== null && kept.access !== before.access && kept.freshUntil > Date.now()) {
      this.#tokens = kept;
      return kept.access;
    }
    try {
      if (kept === null) throw new ParleyError('INVALID_CREDENTIALS', 'You have signed out.');
      const renewed = await this.#ask<{ refreshSession: SignedIn }>(refreshDocument, { token: kept.refresh });
      return await this.#keep(renewed.refreshSession);
    } catch (error) {
      if (error instanceof ParleyError && error.code === 'INVALID_CREDENTIALS') {
        await this.forget();
        this.#options.onEnd();
      }
      throw error;
    }
  }

  #ask<Data>(document: string, variables: object): Promise<Data> {
    return post(this.#options.server, { document, variables, token: null });
  }

  async #keep({ accessToken, refreshToken }: SignedIn): Promise<string> {
    this.#tokens = { access: accessToken, refresh: refreshToken, freshUntil: freshUntil(accessToken) };
    await this.#options.storage.set(storageKey, JSON.stringify(this.#tokens));
    return accessToken;
  }

  async #read(): Promise<Tokens | null> {
    const text = await this.#options.storage.get(storageKey);
    return text === undefined ? null : JSON.parse(text);
  }
}

/**
 * Until when a new token can be used, by this device's clock, which may be wrong: only the token's lifetime counts. A
 * token that does not say is used until it is refused.
 */
function freshUntil(token: string): number {
  try {
    const part = (token.split('.')[1] ?? '').replaceAll('-', '+').replaceAll('_', '/');
    const { exp, iat } = JSON.parse(atob(part)) as { exp: number; iat: number };
    const lifetimeMs = (exp - iat) * 1_000;
    // A foreign token may be old already.
    return Number.isNaN(lifetimeMs) ? Infinity : Date.now() + Math.max(lifetimeMs - marginMs, lifetimeMs / 2);
  } catch {
    return Infinity;
  }
}
