import http, { type IncomingHttpHeaders, type IncomingMessage, type RequestOptions } from 'node:http';
import https from 'node:https';
import type { LookupFunction } from 'node:net';
import { mayConnectTo, type AddressRange } from './address-range.ts';
import { addressIn, EgressFailed, lookupIn } from './egress.ts';
import { resolveHost, type HostAddress } from './host-address.ts';

/** A message, and how long to wait for the response, in ms. */
export type EgressMessage = { headers: Record<string, string>; body: string; maxMs: number; signal: AbortSignal };

/**
 * The parts of a response that matter to the sender. Any status is possible. Even a redirect is returned, and not
 * followed.
 */
export type EgressAnswer = { status: number; headers: IncomingHttpHeaders };

/** Where messages may go, and how many connections may be open. */
export type KeptEgressOptions = {
  /**
   * The local addresses to which messages may go, even unencrypted. Public addresses are always allowed, but only over
   * https.
   */
  allowed: readonly AddressRange[];
  /** The end of the error message about a local address: why the address is not allowed. */
  because: string;
  /**
   * The maximum number of open connections for each protocol. Further messages wait, and the wait counts towards their
   * time limits. Allow one connection per sender, so that a message without a response does not delay other messages.
   */
  maxConnections: number;
};

/** How long an idle connection is kept open, in ms. */
const idleMs = 30_000;
/**
 * The maximum size of a response's body, in bytes, and the maximum time for reading it, in ms. If the body exceeds
 * either limit, the connection is closed.
 */
const bodyLimits = { bytes: 64 * 1024, ms: 2_000 };

/** The receiver closed an idle connection just before a message was sent on it. */
class StaleConnection extends Error {}

/**
 * Sends many messages to the same hosts over connections that stay open. Each connection leads to an address that was
 * checked when the connection was opened, so an attacker gains nothing from a host name that resolves differently
 * later.
 */
export class KeptEgress {
  readonly #options: KeptEgressOptions;
  readonly #agents: { 'http:': http.Agent; 'https:': https.Agent };

  constructor(options: KeptEgressOptions) {
    this.#options = options;
    const { maxConnections } = options;
    const kept = {
      keepAlive: true,
      maxTotalSockets: maxConnections,
      maxFreeSockets: maxConnections,
      timeout: idleMs,
    };
    this.#agents = { 'http:': new http.Agent(kept), 'https:': new https.Agent(kept) };
  }

  /**
   * Posts the message. Throws EgressFailed unless a response starts within the time limit. Discards the body of the
   * response, and resolves once the connection is free again or closed. A sender that posts one message at a time
   * therefore uses only one connection at a time.
   */
  async post(url: URL, message: EgressMessage): Promise<EgressAnswer> {
    const timeout = AbortSignal.timeout(message.maxMs);
    const signal = AbortSignal.any([timeout, message.signal]);
    try {
      const response = await this.#post(url, { ...message, signal });
      const { statusCode: status = 0, headers } = response;
      // Node also accepts statuses from 000 to 099.
      if (status < 100) {
        response.destroy();
        throw new EgressFailed('the response has no valid status');
      }
      await dropBody(response);
      return { status, headers };
    } catch (error) {
      if (error instanceof EgressFailed) throw error;
      const reason = timeout.aborted ? `no response within ${message.maxMs} ms` : 'the request failed';
      throw new EgressFailed(reason, { cause: error });
    }
  }

  /** Closes the idle connections. */
  close(): void {
    for (const agent of Object.values(this.#agents)) agent.destroy();
  }

  async #post(url: URL, message: EgressMessage): Promise<IncomingMessage> {
    const { protocol } = url;
    if (protocol !== 'https:' && protocol !== 'http:') throw new EgressFailed('the URL is neither https: nor http:');
    // Node calls the lookup function only for names, so a literal address is checked here.
    const literal = addressIn(url);
    if (literal !== null) this.#choose(protocol, [literal]);
    const options: RequestOptions = {
      method: 'POST',
      headers: { ...message.headers, 'content-length': Buffer.byteLength(message.body) },
      signal: message.signal,
      agent: this.#agents[protocol],
      lookup: this.#lookupFor(protocol),
    };
    const attempt = () => send(url, options, message.body);
    try {
      return await attempt();
    } catch (error) {
      if (error instanceof StaleConnection) return attempt();
      throw error;
    }
  }

  #lookupFor(protocol: string): LookupFunction {
    return (...lookup) => void this.#lookUp(protocol, lookup);
  }

  async #lookUp(protocol: string, [hostname, options, callback]: Parameters<LookupFunction>): Promise<void> {
    let chosen: HostAddress[];
    try {
      chosen = this.#choose(protocol, await resolveHost(hostname));
    } catch (error) {
      callback(error as NodeJS.ErrnoException, []);
      return;
    }
    lookupIn(chosen)(hostname, options, callback);
  }

  /** Returns the subset of these addresses that a connection may use. Throws EgressFailed if there are none. */
  #choose(protocol: string, found: readonly HostAddress[]): HostAddress[] {
    const { allowed, because } = this.#options;
    const open = found.filter(({ address }) => mayConnectTo(address, allowed));
    if (open.length === 0) throw new EgressFailed(`the host has no public address, and ${because}`);
    const usable = protocol === 'https:' ? open : open.filter(({ address }) => !mayConnectTo(address, []));
    if (usable.length === 0) throw new EgressFailed('a public address is reached by https: only');
    return usable;
  }
}

function send(url: URL, options: RequestOptions, body: string): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const request = (url.protocol === 'https:' ? https : http).request(url, options, resolve);
    request.on('error', (error: NodeJS.ErrnoException) =>
      reject(request.reusedSocket && error.code === 'ECONNRESET' ? new StaleConnection() : error),
    );
    // Node closes the connection without an error when the response switches to another protocol (status 101).
    request.on('close', () => reject(new EgressFailed('the connection was closed without a response')));
    request.end(body);
  });
}

/**
 * Reads a short body to the end, so that the connection can be reused, and cuts off a longer body. Resolves when the
 * body has been read or cut off.
 */
function dropBody(response: IncomingMessage): Promise<void> {
  let left = bodyLimits.bytes;
  const timeout = setTimeout(() => response.destroy(), bodyLimits.ms).unref();
  response.on('data', (chunk: Buffer) => {
    left -= chunk.length;
    if (left < 0) response.destroy();
  });
  response.on('error', () => undefined);
  return new Promise((resolve) => {
    response.on('close', () => {
      clearTimeout(timeout);
      resolve();
    });
  });
}
