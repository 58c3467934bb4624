import http, { type IncomingMessage, type RequestOptions } from 'node:http';
import https from 'node:https';
import { isIP, type LookupFunction } from 'node:net';
import { isLoopback, mayConnectTo, type AddressRange } from './address-range.ts';
import { resolveHost, type HostAddress } from './host-address.ts';

/**
 * A request that the server sends. It always has limits on the time, in ms, and on the size of the response's body, in
 * bytes.
 */
export type EgressRequest = {
  method?: 'GET' | 'POST';
  headers?: Record<string, string>;
  body?: Buffer | string;
  maxMs: number;
  maxBytes: number;
  /** Cancels the request. */
  signal?: AbortSignal;
};

/** A response from another server. Its status can be any status except a redirect. */
export type EgressResponse = { status: number; headers: http.IncomingHttpHeaders; body: Buffer };

/** A request that was not sent, or that received no usable response. The error message never contains the URL. */
export class EgressFailed extends Error {}

/**
 * Sends the server's own requests, whose addresses come from settings or from other systems. The socket connects to the
 * addresses that were checked, so an attacker gains nothing from a host name that resolves differently a moment later
 * (DNS rebinding). A redirect counts as a failure, because its target has not been checked. Unencrypted requests can go
 * only to this machine.
 */
export class Egress {
  readonly #allowed: readonly AddressRange[];

  /** `allowed` lists the local addresses to which requests may go. Public addresses are always allowed. */
  constructor(allowed: readonly AddressRange[]) {
    this.#allowed = allowed;
  }

  /** Throws EgressFailed unless the complete response arrives within the limits. */
  async send(url: URL, request: EgressRequest): Promise<EgressResponse> {
    const timeout = AbortSignal.timeout(request.maxMs);
    const signal = request.signal === undefined ? timeout : AbortSignal.any([timeout, request.signal]);
    try {
      signal.throwIfAborted();
      const addresses = await abortable(this.#check(url), signal);
      const response = await connect(url, request, { addresses, signal });
      const status = response.statusCode ?? 0;
      if (status >= 300 && status < 400) {
        response.destroy();
        throw new EgressFailed(`the response is a redirect (status ${status})`);
      }
      return { status, headers: response.headers, body: await readBody(response, request.maxBytes) };
    } catch (error) {
      if (error instanceof EgressFailed) throw error;
      const reason = timeout.aborted ? `no response within ${request.maxMs} ms` : 'the request failed';
      throw new EgressFailed(reason, { cause: error });
    }
  }

  /** Returns those addresses of the URL's host that the server may connect to. */
  async #check(url: URL): Promise<HostAddress[]> {
    const { protocol } = url;
    if (protocol !== 'https:' && protocol !== 'http:') throw new EgressFailed('the URL is neither https: nor http:');
    const literal = addressIn(url);
    const found = literal === null ? await resolveHost(url.hostname) : [literal];
    const open = found.filter(({ address }) => mayConnectTo(address, this.#allowed));
    if (open.length === 0) throw new EgressFailed('the host has no public address, and EGRESS_ALLOW does not list it');
    const usable = protocol === 'https:' ? open : open.filter(({ address }) => isLoopback(address));
    if (usable.length === 0) throw new EgressFailed('http: is only for this machine');
    return usable;
  }
}

/** Returns the address that the URL has instead of a host name, or null if it has a host name. */
export function addressIn({ hostname }: URL): HostAddress | null {
  const address = hostname.replace(/^\[(.*)\]$/, '$1');
  const family = isIP(address);
  return family === 0 ? null : { address, family };
}

function connect(
  url: URL,
  { method = 'GET', headers = {}, body }: EgressRequest,
  { addresses, signal }: { addresses: HostAddress[]; signal: AbortSignal },
): Promise<IncomingMessage> {
  const options: RequestOptions = {
    method,
    headers: { ...headers, ...(body !== undefined && { 'content-length': Buffer.byteLength(body) }) },
    signal,
    // Opens a separate connection, because a pooled connection could lead to an address that was checked for another
    // request.
    agent: false,
    lookup: lookupIn(addresses),
  };
  return new Promise((resolve, reject) => {
    const request = (url.protocol === 'https:' ? https : http).request(url, options, resolve);
    request.on('error', reject);
    // Node closes the connection without an error when the response switches to another protocol (status 101).
    request.on('close', () => reject(new EgressFailed('the connection was closed without a response')));
    request.end(body);
  });
}

/** Creates a lookup function that answers Node's DNS lookups with the addresses that were checked. */
export function lookupIn(addresses: HostAddress[]): LookupFunction {
  return (_, { all }, callback) => {
    const [first] = addresses;
    if (all === true || first === undefined) callback(null, addresses);
    else callback(null, first.address, first.family);
  };
}

async function readBody(response: IncomingMessage, maxBytes: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    size += chunk.length;
    // Leaving the loop closes the connection.
    if (size > maxBytes) throw new EgressFailed(`the response is larger than ${maxBytes} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

/** A DNS lookup cannot be aborted, so aborting only ends the wait for it. */
function abortable<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason), { once: true });
    work.then(resolve, reject);
  });
}
