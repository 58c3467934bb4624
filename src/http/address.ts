import type { IncomingMessage } from 'node:http';
import { isIPv6 } from 'node:net';

/**
 * Returns the address that a request comes from. With n trusted proxies in front of the server, this is the n-th entry
 * of X-Forwarded-For from the end, which the outermost proxy wrote. An IPv6 address is reduced to its /64, which
 * usually belongs to a single customer.
 */
export function addressOf(request: IncomingMessage | null, trustedProxies: number): string {
  if (request === null) return 'unknown';
  const forwarded = trustedProxies > 0 ? request.headers['x-forwarded-for'] : undefined;
  const listed = (Array.isArray(forwarded) ? forwarded.join(',') : forwarded)?.split(',').at(-trustedProxies)?.trim();
  return networkOf(withoutPort((listed || request.socket.remoteAddress) ?? 'unknown'));
}

/** Removes the port, which some proxies also write: `192.0.2.1:4711`, `[2001:db8::1]:4711`. */
function withoutPort(address: string): string {
  return /^\[(.*)\](:\d+)?$/.exec(address)?.[1] ?? /^(\d+\.\d+\.\d+\.\d+):\d+$/.exec(address)?.[1] ?? address;
}

/**
 * Returns the part of an address that belongs to a single customer: the /64 of an IPv6 address, or a whole IPv4
 * address, even if it is mapped to IPv6.
 */
export function networkOf(address: string): string {
  // This check comes first because the check for IPv6 takes 2 µs.
  if (!address.includes(':')) return address;
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address);
  if (mapped?.[1] !== undefined) return mapped[1];
  if (!isIPv6(address)) return address;
  const [head = '', tail = ''] = address.split('::');
  const left = head === '' ? [] : head.split(':');
  const right = tail === '' ? [] : tail.split(':');
  const zeros = Array.from({ length: Math.max(0, 8 - left.length - right.length) }, () => '0');
  const groups = [...left, ...zeros, ...right].slice(0, 4);
  return groups.map((group) => Number.parseInt(group, 16).toString(16)).join(':');
}
