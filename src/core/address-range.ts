import ipaddr from 'ipaddr.js';

/** A range of IP addresses: its first address, and how many leading bits all its addresses share. */
export type AddressRange = readonly [ipaddr.IPv4 | ipaddr.IPv6, number];

/** Contains all public IPv6 addresses; the rest is local or reserved, or embeds an IPv4 address that could be local. */
const publicIpv6 = ipaddr.IPv6.parseCIDR('2000::/3');

/**
 * Reads addresses and ranges separated by commas, e.g. `127.0.0.1, 10.0.0.0/8`. Throws an Error that says which one is
 * not valid.
 */
export function parseRanges(text: string): AddressRange[] {
  return text.split(',').map((each) => {
    const entry = each.trim();
    // Only the usual form: ipaddr.js also accepts 0x7f.1, which few readers would recognise.
    if (ipaddr.IPv4.isValidFourPartDecimal(entry)) return [ipaddr.IPv4.parse(entry), 32];
    if (ipaddr.IPv4.isValidCIDRFourPartDecimal(entry)) return ipaddr.IPv4.parseCIDR(entry);
    if (ipaddr.IPv6.isValid(entry)) return [ipaddr.IPv6.parse(entry), 128];
    if (ipaddr.IPv6.isValidCIDR(entry)) return ipaddr.IPv6.parseCIDR(entry);
    throw new Error(`"${entry}" is neither an IP address nor a range such as 10.0.0.0/8`);
  });
}

/**
 * Whether the server may connect to the address: a public one, or one in `allowed`. Loopback, private, link-local,
 * shared (carrier-grade NAT), reserved and multicast addresses are not public, and neither are IPv6 addresses that embed
 * an IPv4 address (mapped, NAT64, 6to4, Teredo), even if that address is public.
 */
export function mayConnectTo(address: string, allowed: readonly AddressRange[]): boolean {
  const parsed = ipaddr.parse(address);
  if (allowed.some(([first, bits]) => first.kind() === parsed.kind() && parsed.match(first, bits))) return true;
  if (parsed.range() !== 'unicast') return false;
  return parsed.kind() === 'ipv4' || parsed.match(...publicIpv6);
}

/** Whether it is a loopback address, and so on this machine. */
export function isLoopback(address: string): boolean {
  return ipaddr.isValid(address) && ipaddr.parse(address).range() === 'loopback';
}
