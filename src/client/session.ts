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

/** `freshUntil` is in ms of this device's clock. `id` is different for each sign-in. */
type Tokens = { access: string; refresh: string; freshUntil: number; id: number };
type SignedIn = { accessToken: string; refreshToken: string };

const storageKey = 'session';
/** A token is renewed this long before it expires, or after half of its lifetime if that is later. */
const marginMs = 30_000;

/** What a session needs to work. */
export type SessionOptions = {
  server: Server;
  storage: KeyValueStore;
  /** Different for the stores of different clients, but identical in all tabs that share a store. */
  lockName: string;
  getForeignToken: (() => Promise<string>) | undefined;
  /**
   * Called when the session has ended, either on the server or (`isElsewhere`) because another tab signed out or in.
   */
  onEnd: (isElsewhere: boolean) => void;
};

/**
 * The session of the user who is signed in to this client. It gives each request the current token. When the token must
 * be refreshed, only one tab at a time does so.
 */
export class Session {
  readonly #options: SessionOptions;
  #tokens: Tokens | null = null;
  #foreign: { token: string; freshUntil: number } | null = null;
  #refreshing: Promise<string> | null = null;
  /**
   * Changes whenever the user signs out and whenever another user may have signed in. Requests that began before the
   * change no longer get a token.
   */
  #turn = 0;

  constructor(options: SessionOptions) {
    this.#options = options;
  }

  /** Whether requests will have a token. This is known once `restore` has resolved. */
  get isOpen(): boolean {
    return this.#tokens !== null || this.#options.getForeignToken !== undefined;
  }

  /** Restores the stored session. Resolves to true if there is a session. */
  async restore(): Promise<boolean> {
    const turn = this.#turn;
    const kept = this.#tokens ?? (await this.#read());
    // Another user may have signed in in the meantime.
    if (turn === this.#turn) this.#tokens ??= kept;
    return this.isOpen;
  }

  /**
   * Runs an operation with the current token. If the token is refused, runs the operation once more with a new token.
   */
  async query<Data>(document: string, variables: object = {}): Promise<Data> {
    const { server } = this.#options;
    const token = await this.token();
    const turn = this.#turn;
    try {
      return await post(server, { document, variables, token });
    } catch (error) {
      const isRefused = error instanceof ParleyError && error.code === 'UNAUTHENTICATED';
      if (!isRefused || !this.isOpen || turn !== this.#turn) throw error;
    }
    return post(server, { document, variables, token: await this.token(token) });
  }

  /**
   * Returns a token that is not about to expire: the current token if possible, or else a new one. `refused` is a token
   * that the server has refused, so this function does not return that token again.
   */
  async token(refused: string | null = null): Promise<string> {
    if (this.#options.getForeignToken !== undefined) return this.#foreignToken(this.#options.getForeignToken, refused);
    await this.restore();
    const tokens = this.#tokens;
    if (tokens === null) throw signedOut();
    if (tokens.access !== refused && tokens.freshUntil > Date.now()) return tokens.access;
    const turn = this.#turn;
    this.#refreshing ??= withLock(`${this.#options.lockName}refresh`, () => this.#refresh(tokens, turn)).finally(() => {
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

  /**
   * Ends the session. With `everywhere`, also ends the sessions of the user's other devices. Always ends the session on
   * this device.
   */
  async signOut({ everywhere = false } = {}): Promise<void> {
    try {
      if (everywhere) await this.#revokeOthers();
      await this.query(signOutDocument);
    } finally {
      await this.forget();
    }
  }

  /** Forgets the tokens. Also deletes the stored tokens, unless another tab has stored its own. */
  async forget(): Promise<void> {
    const id = this.#tokens?.id;
    this.leave();
    if ((await this.#read())?.id === id) await this.#options.storage.delete(storageKey);
  }

  /** Forgets the tokens in this tab, but leaves the stored tokens to the other tabs. */
  leave(): void {
    this.#turn += 1;
    this.#tokens = null;
    this.#foreign = null;
    this.#refreshing = null;
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

  /** Another tab may have refreshed the token, signed out or signed in while this tab waited for its turn. */
  async #refresh({ access, id }: Tokens, turn: number): Promise<string> {
    const kept = await this.#read();
    this.#check(turn);
    const isElsewhere = kept?.id !== id;
    if (kept !== null && !isElsewhere && kept.access !== access && kept.freshUntil > Date.now()) {
      this.#tokens = kept;
      return kept.access;
    }
    try {
      if (kept === null || isElsewhere) throw new ParleyError('INVALID_CREDENTIALS', 'You have signed out.');
      const renewed = await this.#ask<{ refreshSession: SignedIn }>(refreshDocument, { token: kept.refresh });
      this.#check(turn);
      return await this.#keep(renewed.refreshSession, id);
    } catch (error) {
      this.#check(turn);
      if (error instanceof ParleyError && error.code === 'INVALID_CREDENTIALS') {
        await this.forget();
        this.#options.onEnd(isElsewhere);
      }
      throw error;
    }
  }

  /** Throws if the user has signed out here, or if another user has signed in, since `turn` was read. */
  #check(turn: number): void {
    if (turn !== this.#turn) throw signedOut();
  }

  #ask<Data>(document: string, variables: object): Promise<Data> {
    return post(this.#options.server, { document, variables, token: null });
  }

  async #keep({ accessToken, refreshToken }: SignedIn, id = Math.random()): Promise<string> {
    if (id !== this.#tokens?.id) this.leave();
    this.#tokens = { access: accessToken, refresh: refreshToken, freshUntil: freshUntil(accessToken), id };
    await this.#options.storage.set(storageKey, JSON.stringify(this.#tokens));
    return accessToken;
  }

  async #read(): Promise<Tokens | null> {
    const text = await this.#options.storage.get(storageKey);
    return text === undefined ? null : JSON.parse(text);
  }
}

function signedOut(): ParleyError {
  return new ParleyError('UNAUTHENTICATED', 'You are not signed in.');
}

/**
 * Returns the time, by this device's clock, until which a new token is used. That clock may be wrong, so only the
 * token's lifetime matters. A token that has no expiry is used until the server refuses it.
 */
function freshUntil(token: string): number {
  try {
    const part = (token.split('.')[1] ?? '').replaceAll('-', '+').replaceAll('_', '/');
    const { exp, iat } = JSON.parse(atob(part)) as { exp: number; iat: number };
    const lifetimeMs = (exp - iat) * 1_000;
    // A foreign token may already be old. In that case, it is used until the server refuses it.
    return Number.isNaN(lifetimeMs) ? Infinity : Date.now() + Math.max(lifetimeMs - marginMs, lifetimeMs / 2);
  } catch {
    return Infinity;
  }
}
